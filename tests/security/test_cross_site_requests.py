"""ASVS 5.0, 3.5: requests that another site's page has made, through HTTP and WebSocket, in every mode."""

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, NamedTuple

import pytest

from tests.security.browser import HOST, ORIGIN, Browser, call
from tests.security.conftest import OpenShop
from tests.security.forging import claims
from tests.security.shop import ACCESS, REFRESH, Shop

TRUSTED = "https://app.example"
EVIL = "https://evil.example"
SITES: list[tuple[str, ...]] = [
    (),
    ("same-origin",),
    ("none",),
    ("same-site",),
    ("cross-site",),
    ("",),
    ("Same-Origin",),
    ("same-origin", "same-origin"),
]
ORIGINS = [
    (),
    (ORIGIN,),
    (TRUSTED,),
    (EVIL,),
    ("null",),
    ("",),
    (f"http://{HOST}",),
    (f"{ORIGIN}:8443",),
    (f"{ORIGIN}.evil.example",),
    (f"{TRUSTED}/",),
    ("https://sub.app.example",),
    (ORIGIN, ORIGIN),
    (TRUSTED, EVIL),
]
MODES = ["fetch-metadata", "token", "both", "off"]
Mode = Literal["fetch-metadata", "token", "both", "off"]


class Case(NamedTuple):
    sites: tuple[str, ...]
    origins: tuple[str, ...]

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [*(("sec-fetch-site", site) for site in self.sites), *(("origin", origin) for origin in self.origins)]

    @property
    def is_ours(self) -> bool:
        """The rules of security.md, one after the other."""
        if self.sites:
            return self.sites in {("same-origin",), ("none",)} or self.origins == (TRUSTED,)
        return self.origins in {(), (ORIGIN,), (TRUSTED,)}

    @property
    def may_open_websocket(self) -> bool:
        if self.origins:
            return self.origins in {(ORIGIN,), (TRUSTED,)}
        return self.sites in {(), ("same-origin",), ("none",)}


CASES = [Case(sites, origins) for sites, origins in itertools.product(SITES, ORIGINS)]


@pytest.fixture(params=MODES)
async def shop_of_mode(request: pytest.FixtureRequest, opening: OpenShop) -> AsyncIterator[Shop]:
    async with opening(csrf=request.param, trusted_origins=[TRUSTED]) as shop:
        yield shop


def anti_csrf(browser: Browser) -> list[tuple[str, str]]:
    token = claims(browser.cookies[ACCESS]).get("csrf")
    return [("anti-csrf", token)] if token else []


def _refused(answer: Any) -> bool:
    if answer.status == 403:
        assert answer.code == "csrf_rejected"
        assert answer.set_cookies == []
        return True
    assert answer.status in {200, 204, 101}, (answer.status, answer.body)
    return False


# -- rules 1 to 4: unsafe methods


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_3_5_rule_1_unsafe_methods_in_every_mode(shop_of_mode: Shop, method: str) -> None:
    browser = await shop_of_mode.login()
    checks = shop_of_mode.manager.settings.csrf in {"fetch-metadata", "both"}
    for case in CASES:
        answer = await browser.send(method, "/me", [*case.headers, *anti_csrf(browser)])
        assert _refused(answer) == (checks and not case.is_ours), case


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_3_5_rule_1_safe_methods_pass(opening: OpenShop, method: str) -> None:
    async with opening() as shop:
        browser = await shop.login()
        for case in CASES:
            assert (await browser.send(method, "/me", case.headers)).status == 200, case


@pytest.mark.parametrize("name", ["x-http-method-override", "x-method-override", "x-http-method", "_method"])
async def test_3_5_rule_1_no_header_changes_the_method(shop: Shop, name: str) -> None:
    browser = await shop.login()
    hostile = [("sec-fetch-site", "cross-site"), ("origin", EVIL)]
    assert (await browser.post("/me", [*hostile, (name, "GET")])).code == "csrf_rejected"
    assert (await browser.post("/me", [*hostile, ("content-type", "text/plain")])).code == "csrf_rejected"


async def test_3_5_rule_1_a_route_may_ask_for_more_and_for_less(shop_of_mode: Shop) -> None:
    browser = await shop_of_mode.login()
    for case in CASES:
        more = await browser.get("/careful", [*case.headers, *anti_csrf(browser)])
        # Where only tokens count, a route that asks for a check gets that of the token.
        assert _refused(more) == (shop_of_mode.manager.settings.csrf != "token" and not case.is_ours), case
        less = await browser.post("/careless", case.headers)
        assert less.status == 200, case


async def test_3_5_rule_2_a_trusted_origin_is_trusted_exactly(opening: OpenShop) -> None:
    async with opening(trusted_origins=[TRUSTED]) as shop:
        browser = await shop.login()
        cross = ("sec-fetch-site", "cross-site")
        for origin in (
            "https://APP.example",
            "https://app.example:443",
            "http://app.example",
            "https://app.example.",
            "https://app.example@evil.example",
            "https://evil.example/https://app.example",
            "https://app.example https://evil.example",
            " https://app.example",
            "app.example",
            "//app.example",
            "https://app.example\u00a0",
            "null",
            "*",
        ):
            assert (await browser.post("/me", [cross, ("origin", origin)])).code == "csrf_rejected", origin
        assert (await browser.post("/me", [cross, ("origin", TRUSTED)])).status == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "shop.example:443", "shop.example:80", "[::1]", b"\xff\xfe", "a b"]
)
async def test_3_5_rule_3_the_own_origin_is_that_of_the_host_header(shop: Shop, host: Any) -> None:
    browser = await shop.login()
    other = Browser(shop.app, host=host)
    other.cookies = dict(browser.cookies)
    answer = await other.post("/me", [("origin", ORIGIN)])
    assert (answer.status == 200) == (host == "shop.example:443")


async def test_3_5_rule_3_two_host_headers_are_no_evidence(shop: Shop) -> None:
    browser = await shop.login()
    answer = await browser.post("/me", [("host", HOST), ("origin", ORIGIN)])
    assert answer.code == "csrf_rejected"


async def test_3_5_rule_3_forwarded_headers_are_not_read(shop: Shop) -> None:
    browser = await shop.login()
    forwarded = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-host", "evil.example"),
    ]
    assert (await browser.post("/me", [*forwarded, ("origin", EVIL)])).code == "csrf_rejected"
    assert (await browser.post("/me", [*forwarded, ("origin", ORIGIN)])).status == 200


@pytest.mark.parametrize("mode", ["fetch-metadata", "both"])
async def test_3_5_rule_4_a_request_of_no_browser_needs_an_origin_where_that_is_required(
    opening: OpenShop, mode: str
) -> None:
    async with opening(csrf=mode) as lax, opening(csrf=mode, require_origin=True, clock=lax.clock) as strict:
        browser = await lax.login()
        assert (await browser.post("/me", anti_csrf(browser))).status == 200
        browser.app = strict.app
        assert (await browser.post("/me", anti_csrf(browser))).code == "csrf_rejected"
        assert (await browser.post("/login/alice")).code == "csrf_rejected"
        assert (await browser.post("/auth/signout")).code == "csrf_rejected"
        assert (await browser.post("/me", [*anti_csrf(browser), ("origin", ORIGIN)])).status == 200


# -- rule 1, login and the rest: in every mode but off


@pytest.mark.parametrize("path", ["/login/bob", "/auth/session/refresh", "/auth/signout"])
async def test_3_5_rule_1_login_refresh_and_sign_out_in_every_mode(shop_of_mode: Shop, path: str) -> None:
    checks = shop_of_mode.manager.settings.csrf != "off"
    browser = await shop_of_mode.login()
    for case in CASES:
        jar = browser.copy()
        answer = await jar.post(path, case.headers)
        if _refused(answer):
            assert not case.is_ours, case
            assert checks
        else:
            assert case.is_ours or not checks, case
            browser = await shop_of_mode.login()


@pytest.mark.parametrize("mode", ["fetch-metadata", "token", "both"])
async def test_3_5_rule_1_a_refused_login_begins_no_session_and_ends_none(opening: OpenShop, mode: str) -> None:
    async with opening(csrf=mode) as shop:
        browser = await shop.login()
        answer = await browser.post("/login/mallory", [("sec-fetch-site", "cross-site"), ("origin", EVIL)])
        assert (answer.status, answer.set_cookies) == (403, [])
        assert await shop.manager.get_all_session_handles_for_user("mallory") == []
        assert (await browser.get("/me", anti_csrf(browser))).json()["user"] == "alice"


async def test_3_5_rule_1_a_login_without_any_cookie_is_checked_too(shop: Shop) -> None:
    answer = await shop.browser().post("/login/mallory", [("sec-fetch-site", "cross-site"), ("origin", EVIL)])
    assert answer.code == "csrf_rejected"


# -- exemptions


@pytest.mark.parametrize("mode", MODES)
async def test_3_5_rule_1_bearer_tokens_are_exempt(opening: OpenShop, mode: str) -> None:
    async with opening(csrf=mode, token_transport="any") as shop:
        issued = await shop.manager.create_new_session_without_request("alice")
        bearer = ("authorization", f"Bearer {issued.access_token.value}")
        for case in CASES[::7]:
            assert (await shop.browser().post("/me", [bearer, *case.headers])).status == 200, case


@pytest.mark.parametrize(
    "value", ["Basic YWxpY2U6c2VjcmV0", "basic x", "Basic", "", "Digest x", "Negotiate x", "Bearerx"]
)
@pytest.mark.parametrize("transport", ["cookie", "any"])
async def test_3_5_rule_1_basic_authentication_is_not_exempt(opening: OpenShop, transport: str, value: str) -> None:
    async with opening(token_transport=transport) as shop:
        browser = await shop.login()
        hostile = [("authorization", value), ("sec-fetch-site", "cross-site"), ("origin", EVIL)]
        for path in ("/me", "/login/bob", "/auth/signout", "/auth/session/refresh", "/auth/sessions/revoke-others"):
            answer = await browser.post(path, hostile)
            assert (answer.code, answer.set_cookies) == ("csrf_rejected", []), path


async def test_3_5_rule_1_a_bearer_header_does_not_exempt_the_cookies_of_a_cookie_transport(shop: Shop) -> None:
    browser = await shop.login()
    hostile = [("authorization", "Bearer x"), ("sec-fetch-site", "cross-site"), ("origin", EVIL)]
    for path in ("/me", "/login/bob", "/auth/signout", "/auth/session/refresh"):
        assert (await browser.post(path, hostile)).code == "csrf_rejected", path


async def test_3_5_rule_1_a_worthless_bearer_token_exempts_no_cookies(opening: OpenShop) -> None:
    async with opening(token_transport="any") as shop:
        browser = await shop.login()
        for value in ("Bearer x", "Bearer ", "Bearer", "bearer x", "BEARER x"):
            answer = await browser.post("/me", [("authorization", value), ("sec-fetch-site", "cross-site")])
            assert (answer.code, answer.set_cookies) == ("csrf_rejected", []), value


async def test_3_5_rule_1_a_token_of_ours_never_falls_back_to_the_cookies(opening: OpenShop) -> None:
    async with opening(token_transport="any") as shop:
        browser = await shop.login()
        for token in (browser.cookies[REFRESH], browser.cookies[ACCESS][:-1], browser.cookies[ACCESS] + "x"):
            answer = await browser.post("/me", [("authorization", f"Bearer {token}"), ("sec-fetch-site", "cross-site")])
            assert (answer.status, answer.set_cookies) == (401, []), token


# -- anti-csrf tokens


@pytest.mark.parametrize("mode", ["token", "both"])
async def test_3_5_a_token_is_the_sessions_own_and_comes_once(opening: OpenShop, mode: str) -> None:
    async with opening(csrf=mode) as shop:
        alice, bob = await shop.login("alice"), await shop.login("bob")
        ((_, good),) = anti_csrf(alice)
        ((_, other),) = anti_csrf(bob)
        wrong = ["", "x", other, good + "x", good[:-1], good.swapcase(), f" {good}", f"{good},{good}", "\xff" * 43]
        for method in ("GET", "POST"):
            for value in wrong:
                answer = await alice.send(method, "/me", [("anti-csrf", value)])
                assert (answer.code, answer.set_cookies) == ("try_refresh_token", []), value
            assert (await alice.send(method, "/me")).code == "try_refresh_token"
            assert (await alice.send(method, "/me", [("anti-csrf", good)] * 2)).code == "try_refresh_token"
            assert (await alice.send(method, "/me", [("anti-csrf", good)])).status == 200
        assert (await alice.get("/me", cookies=[*alice.cookies.items(), ("anti-csrf", good)])).status == 401


# -- rule 5: WebSockets


@pytest.mark.parametrize("denial", [True, False], ids=["with denial responses", "without"])
async def test_3_5_rule_5_websocket_handshakes_in_every_mode(shop_of_mode: Shop, denial: bool) -> None:
    checks = shop_of_mode.manager.settings.csrf != "off"
    browser = await shop_of_mode.login()
    for case in CASES:
        answer = await browser.connect("/socket", [*case.headers, *anti_csrf(browser)], denial=denial)
        assert answer.status == (101 if case.may_open_websocket or not checks else 403), case
        assert answer.set_cookies == []


# -- rule 6: nobody else decides when tokens rotate


SUBRESOURCES = [
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest), *origin]
    for mode, dest in (
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("no-cors", "style"),
        ("cors", "empty"),
        ("navigate", "iframe"),
        ("navigate", "frame"),
        ("navigate", "embed"),
        ("navigate", "object"),
        ("navigate", ""),
        ("", "document"),
    )
    for origin in ([], [("origin", EVIL)])
]


@pytest.mark.parametrize("mode", MODES)
async def test_3_5_rule_6_no_inline_refresh_for_a_cross_site_subresource(opening: OpenShop, mode: Mode) -> None:
    async with opening(csrf=mode) as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=6)
        for headers in [*SUBRESOURCES, [("origin", EVIL)], [("sec-fetch-site", "cross-site")]]:
            answer = await browser.get("/me", [*headers, *anti_csrf(browser)])
            assert (answer.code, answer.set_cookies) == ("try_refresh_token", []), headers
        assert (await browser.get("/me", anti_csrf(browser))).status == 200


async def test_3_5_rule_6_a_link_that_the_user_has_followed_does_refresh(shop: Shop) -> None:
    browser = await shop.login()
    shop.clock.forward(minutes=6)
    headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert set((await browser.get("/me", headers)).set_values) == {ACCESS, REFRESH}


PARTITIONED = {"cookie_samesite": "none", "cookie_partitioned": True}


@pytest.mark.parametrize(
    ("settings", "refreshes"),
    [
        ({"cookie_samesite": "none"}, False),
        (PARTITIONED, True),
        # The cookies of before are those of the whole browser, which another site's frame must not move to its jar.
        (PARTITIONED | {"older_cookie_partitioned": False}, False),
    ],
)
async def test_3_5_rule_6_a_frame_refreshes_only_where_it_has_cookies_of_its_own(
    settings: dict[str, Any], refreshes: bool, opening: OpenShop
) -> None:
    async with opening(**settings) as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=6)
        cross = ("sec-fetch-site", "cross-site")
        for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "object"), ("cors", "iframe")):
            answer = await browser.get("/me", [cross, ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)])
            assert (answer.code, answer.set_cookies) == ("try_refresh_token", [])
        answer = await browser.get("/me", [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")])
        assert set(answer.set_values) == ({ACCESS, REFRESH} if refreshes else set())


async def test_3_5_rule_6_a_refusal_clears_nothing_whatever_state_the_session_is_in(shop: Shop) -> None:
    states = {}
    states["fresh"] = await shop.login()
    states["revoked"] = await shop.login()
    await states["revoked"].copy().post("/logout")
    states["stale"] = await shop.login()
    for name, minutes in (("fresh", 0), ("expired", 6), ("long expired", 20 * 24 * 60)):
        shop.clock.forward(minutes=minutes)
        for state, browser in states.items():
            for path in ("/me", "/logout", "/auth/signout", "/auth/session/refresh", "/payload", "/login/bob"):
                answer = await browser.post(path, [("sec-fetch-site", "cross-site"), ("origin", EVIL)])
                assert (answer.code, answer.set_cookies) == ("csrf_rejected", []), (name, state, path)


# -- what cookies hold does not get out by headers


def _tokens_in(headers: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    return (name for name, value in headers if name.startswith(b"st-") and value)


@pytest.mark.parametrize("path", ["/me", "/auth/session/refresh", "/payload"])
@pytest.mark.parametrize("minutes", [0, 6])
async def test_3_3_a_script_cannot_have_the_tokens_of_http_only_cookies_sent_in_headers(
    opening: OpenShop, path: str, minutes: int
) -> None:
    async with opening(token_transport="any") as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=minutes)
        answer = await browser.post(path, [("st-auth-mode", "header"), ("origin", ORIGIN)], body=b"{}")
        assert answer.status == 200
        assert list(_tokens_in(answer.headers)) == []


async def test_3_5_a_server_that_writes_header_names_otherwise_opens_nothing(shop: Shop) -> None:
    browser = await shop.login()
    scope = browser._scope("http", "/me", [("Origin", EVIL)], None) | {"method": "POST"}
    scope["headers"] = [(name.title() if name == b"origin" else name, value) for name, value in scope["headers"]]
    answer = await call(shop.app, scope, [{"type": "http.request", "body": b"", "more_body": False}])
    assert (answer.status, answer.code) == (403, "csrf_rejected")
