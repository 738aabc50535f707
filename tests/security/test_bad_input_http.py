"""Nothing that a client sends can produce a 500, an exception, or a header of its own making."""

import json
import logging
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.browser import Answer, Browser, call
from tests.security.canary import Canary, texts_of, texts_of_log
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Shop, open_shop

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SET_COOKIE = re.compile(
    r"(?:__Host-|__Secure-)?s(?:Access|Refresh|IdRefresh)Token=[A-Za-z0-9._-]*|(?:__Host-)?sRetryMarker=[A-Za-z0-9_-]*"
)
ATTRIBUTES = re.compile(
    r"(?:; (?:Domain=[a-z.]+|Path=/[a-z/]*|Expires=[A-Za-z0-9 ,:]+GMT|Max-Age=[0-9]+|HttpOnly|Secure|SameSite=Lax))+"
)
NAMES = [
    b"cookie",
    b"authorization",
    b"host",
    b"origin",
    b"referer",
    b"user-agent",
    b"sec-fetch-site",
    b"sec-fetch-mode",
    b"sec-fetch-dest",
    b"anti-csrf",
    b"rid",
    b"st-auth-mode",
    b"st-retry-marker",
    b"fdi-version",
    b"supertokens-sdk-name",
    b"content-type",
    b"content-length",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"accept",
    b"",
    b"\xff",
]
PATHS = [
    "/me",
    "/perhaps",
    "/checked",
    "/careful",
    "/public",
    "/login/alice",
    "/logout",
    "/auth/session",
    "/auth/sessions",
    "/auth/session/refresh",
    "/auth/signout",
    "/auth/sessions/revoke-others",
    "/auth/jwks.json",
    "/auth/sessions/x",
    "/auth/",
    "/nowhere",
]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"fastapi": True},
    {"csrf": "both", "token_transport": "any", "client_protocol": "supertokens", "cookie_prefix": ""},
    {"token_transport": "header", "refresh": "endpoint", "promote_on": "first_use"},
]


@pytest.fixture(params=SETTINGS, ids=["default", "fastapi", "everything at once", "header"])
async def odd_shop(request: pytest.FixtureRequest, opening: OpenShop) -> AsyncIterator[Shop]:
    async with opening(**request.param) as shop:
        yield shop


def assert_sound(answer: Answer) -> None:
    assert answer.error is None
    assert 100 <= answer.status < 500
    for name, value in answer.headers:
        assert not re.search(rb"[\r\n\x00]", name + value)
    for cookie in answer.set_cookies:
        pair, _, rest = cookie.partition(";")
        assert SET_COOKIE.fullmatch(pair), cookie
        assert ATTRIBUTES.fullmatch(f";{rest}"), cookie


# Header values that are nearly right, and others that are not. The numbers stand for the parts of a genuine jar.
WORDS: list[bytes | int] = [
    *range(4),
    *(f"{name}=".encode() for name in (ACCESS, REFRESH, "sAccessToken", "sIdRefreshToken")),
    *(b"Bearer ", b"Basic ", b"; ", b";", b"=", b",", b'"', b"\r\nSet-Cookie: a=b", b"\x00", b"..", b"%0d%0a"),
    *(b"https://shop.example", b"null", b"cross-site", b"same-origin", b"header", b"cookie", b"[::1", b"[", b"]"),
    *(b"9" * 400, b"-1", b"1e999", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"eyJhbGciOiJub25lIn0.e30."),
]
VALUES = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=40)), max_size=8)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "DELETE", "X"]),
    st.sampled_from(PATHS),
    st.sampled_from([b"shop.example", b"[", b"\xff", b""]),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8),
)


def _joined(genuine: Browser, value: list[bytes | int]) -> bytes:
    parts = [f"{name}={token}".encode() for name, token in genuine.cookies.items()]
    parts += [token.encode() for token in genuine.cookies.values()]
    parts += [b""] * 4  # where the tokens travel in headers there are no cookies
    return b"".join(parts[part] if isinstance(part, int) else part for part in value)


@FEW
@given(requests=st.lists(REQUESTS, min_size=1, max_size=8))
async def test_16_any_bytes_in_any_headers(
    odd_shop: Shop, caplog: pytest.LogCaptureFixture, requests: list[tuple[str, str, bytes, Any]]
) -> None:
    genuine, canary = odd_shop.browser(), Canary()
    canary.watch_answer(await genuine.post("/login/alice"))
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        for method, path, host, fields in requests:
            headers = [(name, _joined(genuine, value)) for name, value in fields]
            browser = Browser(odd_shop.app, host=host)
            answer = await browser.send(method, path, headers, raises=False)
            assert_sound(answer)
            assert not any(canary.found_in(text) for text in texts_of(answer))
            assert_sound(await browser.connect("/socket", headers))
    assert not [text for _, text in texts_of_log(caplog.records) if canary.found_in(text)]


@FEW
@given(cookie=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: text.encode())))
async def test_16_any_bytes_as_cookies(shop: Shop, cookie: bytes) -> None:
    for value in (cookie, ACCESS.encode() + b"=" + cookie, cookie + b"; " + ACCESS.encode() + b"=" + cookie):
        for path in ("/me", "/auth/session/refresh", "/auth/signout", "/login/alice"):
            answer = await shop.browser().send("POST", path, [("cookie", value), ("cookie", value)], raises=False)
            assert_sound(answer)


# These read their request without care: what comes of that is the shop's. Hypothesis knows them from the source.
CARELESS = ("broken", "login", "payload")
ANY_PATH = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@FEW
@given(path=ANY_PATH.filter(lambda path: not path.startswith(CARELESS)), method=st.text(max_size=12))
async def test_16_any_path_and_any_method(shop: Shop, path: str, method: str) -> None:
    browser = await shop.login()
    for prefix in ("/auth/sessions/", "/auth/", "/"):
        for verb in ("DELETE", "GET", "POST", method):
            answer = await browser.send(verb, prefix + path, raises=False)
            assert answer.error is None
            assert answer.status < 500
    assert (await browser.get("/me")).status in {200, 401}


HANDLES = [
    "0" * 31,
    "0" * 33,
    "0" * 10_000,
    "A" * 32,
    "\u0660" * 32,
    "0" * 31 + "\n",
    "' OR '1'='1",
    '"',
    "\\",
    "%",
    "_" * 32,
    "\x00",
    "\x00" * 32,
    "😀" * 32,
    "é",
    "../" * 10,
    "..",
    ".",
    "null",
    "None",
    "revoke-others",
    "-1",
    str(2**63),
    "9" * 5000,
    "a b",
    "\u202e",
    "{session_handle}",
    "%00",
    "%0d%0aSet-Cookie:a=b",
]


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
async def test_16_any_handle_that_is_none_is_404(opening: OpenShop, fastapi: bool) -> None:
    async with opening(fastapi=fastapi) as shop:
        browser = await shop.login()
        for handle in HANDLES:
            answer = await browser.delete(f"/auth/sessions/{handle}", raises=False)
            assert answer.status in {404, 405}, handle  # 405: where the handle is another route's path
            assert answer.error is None
        assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize("repeats", [1, 1000, 20_000])
async def test_16_long_cookie_headers_take_linear_time(shop: Shop, repeats: int) -> None:
    browser = await shop.login()
    genuine = f"{ACCESS}={browser.cookies[ACCESS]}"
    for filler in (f"{ACCESS}x=1", f"x{ACCESS}=1", f"a={ACCESS}", "a=b", f"{ACCESS}", ";;;;"):
        begin = time.perf_counter()
        answer = await shop.browser().get("/me", [("cookie", "; ".join([filler] * repeats + [genuine]))])
        assert time.perf_counter() - begin < 2
        assert answer.status == 200, filler


@pytest.mark.parametrize("repeats", [10, 5000])
async def test_16_many_copies_of_one_cookie_are_refused_quickly(shop: Shop, repeats: int) -> None:
    browser = await shop.login()
    forged = browser.cookies[ACCESS][:-2] + "AA"
    same = [(ACCESS, forged)] * repeats
    different = [(ACCESS, f"{forged[:-8]}{number:06}AA") for number in range(repeats)]
    begin = time.perf_counter()
    answers = [await shop.browser().get("/me", cookies=jar) for jar in (same, different)]
    assert time.perf_counter() - begin < 2
    assert [(answer.status, answer.cleared) for answer in answers] == [(401, {ACCESS}), (401, set())]


@pytest.mark.parametrize("size", [0, 1, 4096, 65_536, 1_000_000])
async def test_16_tokens_of_any_length(opening: OpenShop, size: int) -> None:
    async with opening(token_transport="any") as shop:
        for text in ("A" * size, "." * size, "A." * (size // 2), "\xff" * size):
            for headers in (
                [("authorization", f"Bearer {text}")],
                [("cookie", f"{ACCESS}={text}")],
                [("cookie", f"__Host-sRefreshToken={text}")],
                [("anti-csrf", text), ("origin", text), ("user-agent", text), ("sec-fetch-site", text)],
            ):
                for path in ("/perhaps", "/auth/session/refresh"):
                    assert_sound(await shop.browser().send("POST", path, headers, raises=False))


ADDRESSES = [
    "192.0.2.7",
    "2001:db8::1",
    "fe80::1%eth0",
    "fe80::1%" + "x" * 200,
    "fe80::1%é\x00",
    "",
    "unknown",
    "_hidden",
    "é",
    "\x00",
    "😀" * 20,
    "' OR '1'='1",
    "<script>alert(1)</script>",
    "1" * 10_000,
    "192.0.2.7, 198.51.100.9",
    "\ud800",
]


async def test_16_any_client_address_logs_in(any_shop: Shop) -> None:
    # Behind a proxy the server takes it from a header, and may believe whatever stands there.
    for address in ADDRESSES:
        browser = any_shop.browser(address=address)
        assert (await browser.send("POST", "/login/alice", raises=False)).status == 200, address
    lines = (await browser.get("/auth/sessions")).json()
    shown = {"192.0.2.7", "2001:db8::1", "fe80::1", "unknown", "_hidden", None}
    assert {line["ip_address"] for line in lines} == shown


@pytest.mark.parametrize("client", [None, ("192.0.2.7", 0), ["192.0.2.7", None], ("", None)])
async def test_16_servers_may_not_know_the_client(shop: Shop, client: Any) -> None:
    scope = shop.browser()._scope("http", "/login/alice", (), None) | {"method": "POST", "client": client}
    answer = await call(shop.app, scope, [{"type": "http.request", "body": b""}])
    assert answer.status == 200


async def test_16_scopes_may_be_sparse(shop: Shop) -> None:
    sparse: list[tuple[str, dict[str, Any]]] = [
        ("http.request", {"type": "http", "path": "/perhaps", "method": "GET"}),
        ("websocket.connect", {"type": "websocket", "path": "/socket", "subprotocols": []}),
    ]
    for message, known in sparse:
        scope = known | {"headers": []}
        answer = await call(shop.app, scope, [{"type": message}])
        assert answer.status in {200, 403}
        assert answer.error is None


AGENTS = ["", "x" * 100_000, "\xff" * 500, "Firefox/" * 5000, "<b>", "'; DROP TABLE x; --", "\x00", "\r\n", "😀"]


async def test_16_any_user_agent_is_a_device(any_shop: Shop) -> None:
    for agent in AGENTS:
        header = ("user-agent", agent.encode())
        answer = await any_shop.browser().send("POST", "/login/alice", [header, header], raises=False)
        assert answer.status == 200
    records = await any_shop.manager.list_sessions_for_user("alice")
    assert len(records) == len(AGENTS)
    assert all(record.device_label.isascii() and len(record.device_label) <= 100 for record in records)


ODD_TEXTS = ["\x00", "\ud800", "\udfff\ud800", "😀", "</script>", "\u2028", "\x7f", "a" * 500, "\\u0000", "null"]
ODD_NUMBERS = [0, -0.0, 1e308, 5e-324, 2**63, -(2**64), 10**300, int("9" * 600)]


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
@pytest.mark.parametrize("value", [*ODD_TEXTS, *ODD_NUMBERS], ids=range(len(ODD_TEXTS) + len(ODD_NUMBERS)))
async def test_16_whatever_a_payload_holds_the_session_can_be_shown(
    opening: OpenShop, fastapi: bool, value: Any
) -> None:
    async with opening(fastapi=fastapi) as shop:
        browser = shop.browser()
        # An application that keeps what its user typed: JSON may escape half a character.
        payload = {"name": value, "list": [value]} | ({value: 1} if isinstance(value, str) else {})
        answer = await browser.send("POST", "/login/alice", body=json.dumps(payload).encode(), raises=False)
        assert answer.status == 200
        shop.clock.forward(minutes=6)
        for method, path in (("GET", "/auth/session"), ("GET", "/auth/sessions"), ("POST", "/auth/session/refresh")):
            answer = await browser.send(method, path, raises=False)
            assert answer.error is None
            assert answer.status == 200
        assert (await browser.get("/auth/session")).json()["jwt_payload"] == payload


async def test_16_bodies_are_none_of_our_endpoints_business(opening: OpenShop) -> None:
    for fastapi in (False, True):
        async with opening(fastapi=fastapi) as shop:
            for body in (b"", b"{", b"\xff\xfe", b"[" * 10_000, b"null", b"x" * 1_000_000):
                for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "\xff"):
                    browser = await shop.login()
                    for path in ("/auth/session/refresh", "/auth/sessions/revoke-others", "/auth/signout"):
                        answer = await browser.send("POST", path, [("content-type", kind)], body=body, raises=False)
                        assert answer.status == 200, (path, body[:9], kind)


async def test_16_any_user_name_at_login_on_any_engine(any_url: str) -> None:
    async with open_shop(any_url) as shop:
        for user in ("é", "😀", "a" * 255, "' OR '1'='1", "\x00", "%s", "a\nb", " ", "s:alice", "i:42", "\u202e"):
            browser = await shop.login(user)
            assert (await browser.get("/me")).json()["user"] == user
            shop.clock.forward(minutes=6)
            assert (await browser.get("/me")).json()["user"] == user
            assert len((await browser.get("/auth/sessions")).json()) == 1
            assert await shop.manager.revoke_all_sessions_for_user(user) == 1
