"""What is taken out of a value, and what is not."""

import json
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.scrubbing import FILTERED, scrub_event, scrubbed
from asgi_sessions.testing import MovableClock
from tests.older_version import as_an_older_version

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

SETTINGS: list[dict[str, Any]] = [
    {"signing_algorithm": algorithm, "promote_on": promote}
    for algorithm in ("HS256", "EdDSA", "ES256")
    for promote in ("refresh", "first_use")
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings.values()))
async def test_every_token_is_known_by_its_looks(settings: dict[str, Any]) -> None:
    clock = MovableClock()
    manager = SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", **settings), clock=clock)
    async with manager:
        issued = await manager.create_new_session_without_request("alice", jwt_payload={"role": "user"})
        older = await as_an_older_version(manager, issued)
        tokens = [older.access, older.refresh, older.marker]
        for _ in range(3):
            tokens += [issued.access_token.value, issued.refresh_token.value]
            clock.advance(301)
            issued = await manager.refresh_session_without_request(issued.refresh_token.value)
        marker = manager.lifecycle.keys.retry_markers.encode(issued.session.session_handle, 1, clock())
        for token in [*tokens, marker]:
            assert scrubbed(token) == FILTERED
            assert scrubbed(f"<p>{token}</p> and ({token})") == f"<p>{FILTERED}</p> and ({FILTERED})"
            assert scrubbed(token.encode()) == FILTERED.encode()
            assert FILTERED in scrubbed(token[: len(token) - 8] + "...")  # cut off


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"Bearer {JWT}", f"Bearer {FILTERED}"),
        ("says 'bearer  0123456789abcdef.~+/-=='", f"says 'bearer  {FILTERED}'"),
        ("authorization: Bearer short-one", f"authorization: {FILTERED}"),
        ("Authorization: Basic YWxpY2U6d29uZGVybGFuZA==\nHost: shop", f"Authorization: {FILTERED}\nHost: shop"),
        ("theme=dark; __Host-sAccessToken=x; n=1", f"theme=dark; __Host-sAccessToken={FILTERED}; n=1"),
        ("shop_sRefreshToken=x", f"shop_sRefreshToken={FILTERED}"),
        ("sIdRefreshToken=x", f"sIdRefreshToken={FILTERED}"),
        ("__Secure-sRetryMarker=x; Path=/", f"__Secure-sRetryMarker={FILTERED}; Path=/"),
        ("{'cookie': 'a=b; c=d', 'n': 1}", f"{{'cookie': '{FILTERED}', 'n': 1}}"),
        ("[(b'Set-Cookie', b'a=b'), (b'n', b'1')]", f"[(b'Set-Cookie', b'{FILTERED}'), (b'n', b'1')]"),
        ('{"anti_csrf_token": "it\\"s", "n": 1}', f'{{"anti_csrf_token": "{FILTERED}", "n": 1}}'),
        ("?access_token=abc&n=1", f"?access_token={FILTERED}&n=1"),
        ("st-refresh-token: abc", f"st-refresh-token: {FILTERED}"),
        ("anti-csrf=abc;n=1", f"anti-csrf={FILTERED};n=1"),
    ],
)
def test_in_texts(said: str, left: str) -> None:
    assert scrubbed(said) == left
    assert scrubbed(left) == left
    assert scrubbed([said, (said, 1)]) == [left, (left, 1)]
    assert scrubbed({"message": said}) == {"message": left}
    assert scrub_event({"message": said}, {}) == {"message": left}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"Cookie": "a=b"}, {"Cookie": FILTERED}),
        ({"set_cookie": ["a=b", "c=d"]}, {"set_cookie": [FILTERED, FILTERED]}),
        ({"__Host-shop-sAccessToken": "x", "theme": "dark"}, {"__Host-shop-sAccessToken": FILTERED, "theme": "dark"}),
        ({"http.request.header.cookie": ("a=b",)}, {"http.request.header.cookie": (FILTERED,)}),
        ({"http.response.header.st_access_token": ["x"]}, {"http.response.header.st_access_token": [FILTERED]}),
        ([[b"authorization", b"x"], [b"host", b"shop"]], [[b"authorization", FILTERED.encode()], [b"host", b"shop"]]),
        (["b'cookie'", "b'a=b'"], ["b'cookie'", FILTERED]),
        ({"authorization": None, "cookie": ""}, {"authorization": None, "cookie": ""}),
        ({"cookie": {"": {"rem": [["!config", "s"]]}}}, {"cookie": {"": {"rem": [["!config", "s"]]}}}),
    ],
)
def test_under_names(value: Any, left: Any) -> None:
    assert scrubbed(value) == left
    assert type(scrubbed(value)) is type(value)
    assert scrubbed(left) == left


@pytest.mark.parametrize(
    "value",
    [
        "",
        "A cookie: the user's own words",
        "The bearer of this letter",
        'WWW-Authenticate: Bearer realm="session"',
        "sAccessToken",
        "1337067f85343bf9a5d9d8c6e7227a31",  # a session handle
        "df46854c-b33a-4fa4-abb0-10b26c154ce5",
        "a" * 64,  # a hash
        "/authorization/cookie",
        "https://shop.example/?n=1&token_type=1",
        {"cookies": {"theme": "dark"}, "session": 1, "bcookie": "x"},
        ["cookie", "sugar", "flour"],
        ("Firefox on Windows", 1, 2.5, True, None),
        b"\x00\xff",
        object,
    ],
)
def test_everything_else_stays(value: Any) -> None:
    assert scrubbed(value) == value


def test_what_is_given_is_not_changed() -> None:
    value = {"cookie": "a=b", "frames": [{"vars": {"scope": [["cookie", "a=b"]]}}]}
    before = json.dumps(value)
    scrubbed(value)
    assert json.dumps(value) == before


STARTS = ["eyJ", "AxA", "bearer ", "cookie': '", "sAccessToken=", "authorization: ", "(", "\\", "b'"]


@pytest.mark.parametrize("start", STARTS)
def test_long_texts_take_no_longer_than_they_are_long(start: str) -> None:
    """What a client sends ends up in reports. A pattern that went back again and again would not end here."""
    text = start * 200_000 + "\n"
    assert scrubbed(text).endswith("\n")
