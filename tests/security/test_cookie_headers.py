"""ASVS 5.0, 3.3: the Set-Cookie headers, to the letter."""

import itertools
import json
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, PayloadTooLarge, SessionSettings
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Clock, Shop

MIDNIGHT = 1_800_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT
UNTIL = "Expires=Fri, 29 Jan 2027 08:00:00 GMT; Max-Age=1209600"
GONE = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"


class _Fixed(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.now = MIDNIGHT


def without_value(cookie: str) -> str:
    name, _, rest = cookie.partition("=")
    return f"{name}=…{rest[rest.index(';') :]}"


GOLDEN: list[tuple[dict[str, Any], str, str]] = [
    (
        {},
        f"__Host-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"__Host-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
    (
        {"cookie_samesite": "strict"},
        f"__Host-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Strict",
        f"__Host-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Strict",
    ),
    (
        {"cookie_samesite": "none"},
        f"__Host-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None",
        f"__Host-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None",
    ),
    (
        {"cookie_samesite": "none", "cookie_partitioned": True},
        f"__Host-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None; Partitioned",
        f"__Host-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None; Partitioned",
    ),
    (
        {"cookie_samesite": "none", "cookie_partitioned": True, "cookie_domain": "shop.example"},
        f"__Secure-sAccessToken=…; Domain=shop.example; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None; Partitioned",
        f"__Secure-sRefreshToken=…; Domain=shop.example; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=None; Partitioned",
    ),
    (
        {"refresh": "endpoint"},
        f"__Host-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"__Secure-sRefreshToken=…; Path=/auth/session/refresh; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
    (
        {"cookie_domain": "shop.example"},
        f"__Secure-sAccessToken=…; Domain=shop.example; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"__Secure-sRefreshToken=…; Domain=shop.example; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
    (
        {"access_token_path": "/app"},
        f"__Secure-sAccessToken=…; Path=/app; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"__Host-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
    (
        {"cookie_secure": False},
        f"sAccessToken=…; Path=/; {UNTIL}; HttpOnly; SameSite=Lax",
        f"sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; SameSite=Lax",
    ),
    (
        {"cookie_prefix": "none"},
        f"sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
    (
        {"cookie_prefix": "__Secure-shop-"},
        f"__Secure-shop-sAccessToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
        f"__Secure-shop-sRefreshToken=…; Path=/; {UNTIL}; HttpOnly; Secure; SameSite=Lax",
    ),
]


@pytest.mark.parametrize(("settings", "access", "refresh"), GOLDEN, ids=[str(settings) for settings, _, _ in GOLDEN])
async def test_3_3_the_headers_at_login_and_at_logout(
    opening: OpenShop, settings: dict[str, Any], access: str, refresh: str
) -> None:
    async with opening(clock=_Fixed(), **settings) as shop:
        browser = shop.browser()
        answer = await browser.post("/login/alice")
        assert [without_value(cookie) for cookie in answer.set_cookies] == [access, refresh]
        assert answer.all("cache-control") == ["no-store"]
        left = await browser.post("/logout")
        assert left.set_cookies == [line.replace("…", "").replace(UNTIL, GONE) for line in (access, refresh)]
        assert left.all("cache-control") == ["no-store"]


async def test_3_3_an_inline_refresh_sets_the_same_attributes(opening: OpenShop) -> None:
    async with opening(clock=_Fixed()) as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=6)
        until = "Expires=Fri, 29 Jan 2027 08:06:00 GMT; Max-Age=1209600"
        assert [without_value(cookie) for cookie in (await browser.get("/me")).set_cookies] == [
            f"__Host-sAccessToken=…; Path=/; {until}; HttpOnly; Secure; SameSite=Lax",
            f"__Host-sRefreshToken=…; Path=/; {until}; HttpOnly; Secure; SameSite=Lax",
        ]


async def test_3_3_the_retry_marker_is_a_cookie_like_the_others(opening: OpenShop) -> None:
    async with opening(clock=_Fixed()) as shop:
        browser = await shop.login()
        late = browser.copy()
        for _ in range(2):
            shop.clock.forward(minutes=6)
            await browser.get("/me")
        (marker,) = (await late.get("/me")).set_cookies
        assert without_value(marker) == (
            "__Host-sRetryMarker=…; Path=/; Expires=Fri, 15 Jan 2027 08:14:30 GMT; Max-Age=150; "
            "HttpOnly; Secure; SameSite=Lax"
        )


async def test_3_3_only_the_cookie_without_a_secret_is_open_to_scripts(opening: OpenShop) -> None:
    async with opening(client_protocol="supertokens", cookie_prefix="", csrf="token") as shop:
        answer = await shop.browser().post("/login/alice")
        open_to_scripts = [cookie for cookie in answer.set_cookies if "HttpOnly" not in cookie]
        assert [cookie.partition("=")[0] for cookie in open_to_scripts] == ["sIdRefreshToken"]
        assert all("; Secure; SameSite=Lax" in cookie for cookie in answer.set_cookies)


COMBINATIONS = list(
    itertools.product(
        (None, "", "__Host-", "__Secure-", "__host-", "shop-"),  # cookie_prefix
        (True, False),  # cookie_secure
        (None, "shop.example"),  # cookie_domain
        ("/", "/app"),  # access_token_path
        ("inline", "endpoint"),  # refresh
        ("lax", "strict", "none"),  # cookie_samesite
    )
)


def test_3_3_no_combination_of_settings_makes_a_cookie_that_browsers_refuse() -> None:
    from asgi_sessions.asgi.session_cookies import SessionCookies

    good = 0
    for prefix, secure, domain, path, refresh, samesite in COMBINATIONS:
        try:
            settings = SessionSettings(
                cookie_prefix=prefix,
                cookie_secure=secure,
                cookie_domain=domain,
                access_token_path=path,
                refresh=refresh,
                cookie_samesite=samesite,
            )
        except ConfigurationError:
            continue
        good += 1
        cookies = SessionCookies(settings)
        for cookie in (cookies.access, cookies.refresh, cookies.retry):
            header = cookie.set_header("x", 0, 1).decode()
            name = header.partition("=")[0].lower()
            assert "; HttpOnly" in header
            assert f"; SameSite={samesite.capitalize()}" in header
            assert ("; Secure" in header) == secure
            if name.startswith(("__host-", "__secure-")):
                assert secure
            if name.startswith("__host-"):
                assert "Domain=" not in header
                assert "; Path=/;" in header
            if samesite == "none":
                assert secure
            if prefix is None and secure:
                assert name.startswith("__host-" if domain is None and cookie.path == "/" else "__secure-")
    assert good > 60


# -- 4096 bytes


def _largest(shop: Shop) -> bytes:
    return json.dumps({"x": "y" * 4096}).encode()


async def test_3_3_a_login_with_too_large_a_payload_stores_nothing_and_sets_nothing(any_shop: Shop) -> None:
    answer = await any_shop.browser().send("POST", "/login/alice", body=_largest(any_shop), raises=False)
    assert isinstance(answer.error, PayloadTooLarge)
    assert answer.set_cookies == []
    assert await any_shop.rows("SELECT handle FROM asgi_sessions_sessions") == []


async def test_3_3_a_failed_login_ends_no_session_that_was_there_before(shop: Shop) -> None:
    browser = await shop.login()
    await browser.copy().send("POST", "/login/bob", body=_largest(shop), raises=False)
    assert (await browser.get("/me")).json()["user"] == "alice"


async def test_3_3_an_update_to_too_large_a_payload_changes_nothing(shop: Shop) -> None:
    browser = await shop.login()
    before = await shop.rows("SELECT jwt_payload FROM asgi_sessions_sessions")
    answer = await browser.send("POST", "/payload", body=_largest(shop), raises=False)
    assert isinstance(answer.error, PayloadTooLarge)
    assert answer.set_cookies == []
    assert await shop.rows("SELECT jwt_payload FROM asgi_sessions_sessions") == before
    assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"promote_on": "first_use"},
        {"csrf": "both"},
        {"signing_algorithm": "EdDSA"},
        {"cookie_prefix": "a-very-long-prefix-of-the-application-" * 10},
    ],
    ids=["default", "lineage", "csrf token", "EdDSA", "long prefix"],
)
async def test_3_3_a_payload_that_just_fits_fits_for_the_sessions_whole_life(
    opening: OpenShop, settings: dict[str, Any]
) -> None:
    async with opening(**settings) as shop:
        shop.clock.now -= shop.clock.now % 1000  # whole seconds are the shortest times
        low, high = 0, 4096
        while low < high:
            middle = (low + high + 1) // 2
            body = json.dumps({"x": "y" * middle}).encode()
            answer = await shop.browser().send("POST", "/login/alice", body=body, raises=False)
            low, high = (middle, high) if answer.error is None else (low, middle - 1)
        browser = shop.browser()
        assert low > 1000
        await browser.post("/login/alice", body=json.dumps({"x": "y" * low}).encode())
        for _ in range(12):
            shop.clock.forward(minutes=6, milliseconds=123)
            answer = await browser.post("/auth/session/refresh")
            assert answer.status == 200
            sizes = [len(name) + len(value) for name, value in answer.set_values.items()]
            assert len(sizes) == 2
            assert max(sizes) <= 4096


async def test_3_3_no_answer_sets_a_cookie_that_did_not_change(shop: Shop) -> None:
    browser = await shop.login()
    for path in ("/me", "/perhaps", "/checked", "/auth/session", "/auth/sessions", "/public"):
        assert (await browser.get(path)).set_cookies == []
    nobody = shop.browser()
    for path in ("/me", "/perhaps", "/auth/session", "/public"):
        assert (await nobody.get(path)).set_cookies == []
    assert (await nobody.post("/auth/signout")).set_cookies == []


async def test_3_3_what_depends_on_the_session_says_so_to_caches(shop: Shop) -> None:
    browser = await shop.login()
    assert (await browser.get("/me")).all("vary") == ["Cookie"]
    assert (await shop.browser().get("/perhaps")).all("vary") == ["Cookie"]
    assert (await browser.get("/public")).all("vary") == []


async def test_3_3_both_cookies_are_cleared_where_the_browser_sent_only_one(opening: OpenShop) -> None:
    async with opening(refresh="endpoint") as shop:
        browser = await shop.login()
        await shop.manager.revoke_all_sessions_for_user("alice")
        # The refresh cookie's path is the refresh endpoint's, so that it does not come with other requests.
        answer = await browser.get("/me", cookies=[(ACCESS, browser.cookies[ACCESS])])
        assert answer.cleared == {ACCESS, REFRESH.replace("__Host-", "__Secure-")}
