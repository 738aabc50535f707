"""ASVS 5.0, V16: what is written down about sessions, and what must never be."""

import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from asgi_sessions import SessionError
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.store.repository import SessionRepository
from tests.security.browser import Answer, Browser
from tests.security.canary import Canary, texts_of, texts_of_log
from tests.security.conftest import OpenShop
from tests.security.forging import claims, forgeries, head, of_unknown_key, refresh_of_unknown_key, written
from tests.security.shop import ACCESS, REFRESH, SECRET, Shop, open_shop

EVENT = "event"


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [
        (getattr(record, EVENT), vars(record))
        for record in caplog.records
        if record.name == "asgi_sessions.audit" and hasattr(record, EVENT)
    ]


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "asyncmy", "aiosqlite", "alembic", "asyncio"):
        caplog.set_level(logging.DEBUG, name)


# -- events


async def test_16_each_event_names_the_session_and_the_user(any_shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    browser = await any_shop.login()
    handle = (await browser.get("/me")).json()["handle"]
    thief = browser.copy()
    for _ in range(3):
        any_shop.clock.forward(minutes=6)
        await browser.get("/me")
    await browser.post("/me", [("sec-fetch-site", "cross-site")])
    await thief.get("/me")
    await browser.post("/login/bob")
    await browser.post("/logout")
    seen = events(caplog)
    assert [name for name, _ in seen] == [
        "session.created",
        "session.refreshed",
        "session.refreshed",
        "session.refreshed",
        "session.csrf_rejected",
        "session.theft",
        "session.created",
        "session.revoked",
    ]
    assert all(facts["session_handle"] == handle for _, facts in seen[:6])
    assert all(facts["user_id"] == "alice" for _, facts in seen[:6])
    levels = {name: facts["levelno"] for name, facts in seen}
    assert levels["session.theft"] == levels["session.csrf_rejected"] == logging.WARNING
    assert levels["session.created"] == levels["session.refreshed"] == levels["session.revoked"] == logging.INFO


@pytest.mark.parametrize(
    ("how", "reason"),
    [("logout", "logout"), ("signout", "logout"), ("replaced", "replaced"), ("everywhere", "logout_all")],
)
async def test_16_a_revocation_says_why(
    any_shop: Shop, caplog: pytest.LogCaptureFixture, how: str, reason: str
) -> None:
    browser = await any_shop.login()
    match how:
        case "logout":
            await browser.post("/logout")
        case "signout":
            await browser.post("/auth/signout")
        case "replaced":
            await browser.post("/login/alice")
        case "everywhere":
            await any_shop.manager.revoke_all_sessions_for_user("alice")
    assert [facts["reason"] for name, facts in events(caplog) if name == "session.revoked"] == [reason]
    stored = await any_shop.rows("SELECT revoked_reason FROM asgi_sessions_sessions WHERE revoked_at IS NOT NULL")
    assert stored == [(reason,)]


@pytest.mark.parametrize("path", ["/login/bob", "/auth/session/refresh", "/auth/signout", "/me"])
async def test_16_every_refused_request_of_another_site_is_an_event(
    shop: Shop, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    browser = await shop.login()
    await browser.post(path, [("sec-fetch-site", "cross-site")])
    ((_, created), (name, facts)) = events(caplog)
    assert (name, facts["session_handle"]) == ("session.csrf_rejected", created["session_handle"])
    assert (facts["request"], facts["origin"]) == (f"POST {path}", None)


@pytest.mark.parametrize(
    ("origins", "told"),
    [
        ([], None),
        (["null"], "null"),
        (["https://evil.example"], "https://evil.example"),
        (["null", "https://evil.example"], "null, https://evil.example"),
        (["capacitor://localhost"], "capacitor://localhost"),
        (["http://[::1]:8000"], "http://[::1]:8000"),
        (["b', \x85\x1b[2Jc\xff"], "(not an origin)"),
        (["https://" + "y" * 64], "(not an origin)"),
        (["https://evil.example/path"], "(not an origin)"),
        (["https://" + ".".join(["y" * 63] * 10)], ("https://" + ".".join(["y" * 63] * 10))[:200]),
    ],
)
@pytest.mark.parametrize(
    "evil", ["a", "a\n2026-01-01 session.revoked user_id='root'\r\u2028\x1b[2J\ud800é", "x" * 1000]
)
async def test_16_a_refused_request_is_named_and_does_not_break_out_of_its_line(
    shop: Shop, caplog: pytest.LogCaptureFixture, origins: list[str], told: str | None, evil: str
) -> None:
    headers = [("sec-fetch-site", "cross-site"), *(("origin", origin) for origin in origins)]
    browser = await shop.login()
    for who in (browser, shop.browser()):
        assert (await who.post(f"/login/{evil}", headers)).code == "csrf_rejected"
    with_session, without = [
        record
        for record in caplog.records
        if getattr(record, EVENT, None) == "session.csrf_rejected" or str(record.msg).startswith("Refused a request")
    ]
    request = f"POST /login/{evil}"[:200]
    facts = vars(with_session)
    assert (facts["request"], facts["origin"]) == (request, told)
    origin = "no Origin" if told is None else f"Origin {told!a}"
    assert without.getMessage().endswith(f" access token ({request!a}, {origin}).")
    assert with_session.getMessage().isprintable()
    assert without.getMessage().isprintable()


@pytest.mark.parametrize("before", ["", "null", "https://", "https://shop.example", "https://shop.example:8000/"])
async def test_16_a_token_that_a_client_sends_as_its_origin_is_not_logged(
    shop: Shop, caplog: pytest.LogCaptureFixture, before: str
) -> None:
    browser, canary = shop.browser(), Canary()
    canary.watch_answer(await browser.post("/login/alice"))
    for token in browser.cookies.values():
        headers = [("sec-fetch-site", "cross-site"), ("origin", f"{before}{token}")]
        for who in (browser, shop.browser()):
            assert (await who.post("/login/bob", headers)).code == "csrf_rejected"
    assert "(not an origin)" in caplog.text
    assert not [text for _, text in texts_of_log(caplog.records) if canary.found_in(text)]


@pytest.mark.parametrize("carried", ["nothing", "garbage", "too many"])
@pytest.mark.parametrize("path", ["/login/bob", "/auth/session/refresh", "/auth/signout", "/me"])
async def test_16_refused_requests_without_a_session_are_no_events_and_one_line_a_minute(
    shop: Shop, caplog: pytest.LogCaptureFixture, path: str, carried: str
) -> None:
    copies = {"nothing": [], "garbage": ["x" * 300], "too many": ["x.y.z"] * 9}[carried]
    cookies = [(name, text) for text in copies for name in (ACCESS, REFRESH)]
    refused = 0
    for _ in range(3):
        for _ in range(50):
            answer = await shop.browser().post(path, [("sec-fetch-site", "cross-site")], cookies=cookies)
            refused += answer.status == 403
        shop.clock.forward(minutes=1)
    # Where nobody can be logged in there is nothing to refuse but 401.
    assert refused == (0 if path == "/me" and carried == "nothing" else 150)
    assert events(caplog) == []
    told = [record for record in caplog.records if record.levelno >= logging.WARNING and "another site" in record.msg]
    assert len(told) <= 3
    if refused:
        counts = [record.args[0] for record in told[1:] if isinstance(record.args, tuple)]
        assert (counts, told[0].getMessage()[:7]) == ([49, 50], "Refused")


async def test_16_no_user_id_breaks_out_of_its_line(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    for user in ("a\nsession.revoked user_id='root'", "a\r\nb", "\x1b[2J", "\u2028", "a' reason='x", "%s %d %(x)s"):
        await shop.manager.create_new_session_without_request(user)
    lines = [record.getMessage() for record in caplog.records if record.name == "asgi_sessions.audit"]
    assert len(lines) == 6
    assert all(line.isprintable() for line in lines)


# -- canaries


def _secrets_of(shop: Shop, canary: Canary) -> None:
    """What the worker itself must not tell anybody."""
    canary.watch(SECRET)
    keys = shop.manager.lifecycle.keys
    for key in keys.keyring.keys:
        canary.watch(key.secret)
        if isinstance(key.sign_key, bytes):
            canary.watch(key.sign_key)


class _Watched:
    """A browser whose every answer is looked at."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self.answers: list[Answer] = []

    async def __call__(self, browser: Browser, method: str, path: str, headers: Any = (), **options: Any) -> Answer:
        answer = await browser.send(method, path, headers, raises=False, **options)
        self.canary.watch_answer(answer)
        self.answers.append(answer)
        return answer


async def _whole_life(shop: Shop, canary: Canary) -> list[Answer]:
    send = _Watched(canary)
    alice, bob = shop.browser(), shop.browser()
    for browser, user in ((alice, "alice"), (bob, "bob")):
        await send(browser, "POST", f"/login/{user}")

    def csrf(browser: Browser) -> list[tuple[str, str]]:
        name = next((name for name in browser.cookies if name.endswith("sAccessToken")), None)
        token = claims(browser.cookies[name]).get("csrf") if name else None
        if token:
            canary.watch(token)
        return [("anti-csrf", token)] if token else []

    thief, early = alice.copy(), bob.copy()
    for minutes in (0, 6, 6, 1, 6):
        shop.clock.forward(minutes=minutes)
        for path in ("/me", "/auth/session", "/auth/sessions", "/checked", "/recent", "/admin", "/perhaps", "/broken"):
            await send(alice, "GET", path, csrf(alice))
        await send(alice, "POST", "/auth/session/refresh", csrf(alice))
        await send(alice, "POST", "/payload", csrf(alice), body=b'{"role": "customer", "x": 1}')
        await send(alice, "POST", "/payload", csrf(alice), body=json.dumps({"x": "y" * 5000}).encode())
        await send(bob, "GET", "/me", csrf(bob))
        await send(bob, "POST", "/me", [("sec-fetch-site", "cross-site"), *csrf(bob)])
        await send(bob, "POST", "/me", [("anti-csrf", "wrong")])
        await send(early, "GET", "/me", csrf(early))  # once a late parent, then theft
        answer = await alice.connect("/socket", csrf(alice))
        send.answers.append(answer)
    await send(thief, "GET", "/me", csrf(thief))
    await send(thief, "POST", "/auth/session/refresh")
    await send(alice, "GET", "/me", csrf(alice))
    for _ in range(2):
        await send(alice, "POST", "/login/alice")
    for name, value in list(alice.cookies.items()):
        for broken in (value[:-3] + "AAA", value + "x", value.swapcase(), f'"{value}"', f"{value}, {value}"):
            await send(alice.copy(), "GET", "/me", cookies=[(name, broken)])
            await send(alice.copy(), "POST", "/auth/session/refresh", cookies=[(name, broken)])
    await send(alice, "DELETE", "/auth/sessions/" + "0" * 32, csrf(alice))
    await send(alice, "DELETE", "/auth/sessions/" + alice.find("sRefreshToken"), csrf(alice))
    await send(alice, "POST", "/auth/sessions/revoke-others", csrf(alice))
    await send(alice, "POST", "/logout", csrf(alice))
    await send(bob, "POST", "/auth/signout")
    shop.clock.forward(days=1)
    await send(bob, "POST", "/login/bob")  # under the next signing key
    await shop.manager.purge_expired_sessions()
    _secrets_of(shop, canary)
    return send.answers


LIVES: list[dict[str, Any]] = [
    {},
    {"csrf": "both", "promote_on": "first_use"},
    {"secret_key": None},
    {"client_protocol": "supertokens", "cookie_prefix": "", "csrf": "token", "token_transport": "any"},
    {"signing_algorithm": "EdDSA"},
    {"fastapi": True, "debug": True},
    {"debug": True},
]


@pytest.mark.parametrize("settings", LIVES, ids=str)
async def test_16_no_token_in_logs_bodies_and_errors_over_a_whole_life(
    opening: OpenShop, caplog: pytest.LogCaptureFixture, settings: dict[str, Any]
) -> None:
    await _live(lambda: opening(**settings), caplog)


async def test_16_no_token_in_logs_bodies_and_errors_on_any_engine(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # A database without tables, so that the migrations are in the log too.
    await _live(lambda: open_shop(database_url), caplog)


async def _live(opened: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    canary = Canary()
    async with opened() as shop:
        answers = await _whole_life(shop, canary)
    assert len(canary.secrets) > 300
    assert {500, 401, 403, 200} <= {answer.status for answer in answers}
    for answer in answers:
        for text in texts_of(answer):
            assert canary.found_in(text) == set(), (answer.status, text[:300])
    leaks = {(name, text[:200]) for name, text in texts_of_log(caplog.records) if canary.found_in(text)}
    assert leaks == set()


@pytest.fixture
async def broken_shop(opening: OpenShop) -> AsyncIterator[tuple[Shop, Browser, Canary]]:
    """A shop that loses its tables under a session, and would ask them at each request."""
    async with opening(debug=True, revocation_check="database") as shop:
        canary = Canary()
        browser = shop.browser()
        canary.watch_answer(await browser.post("/login/alice"))
        _secrets_of(shop, canary)
        await shop.change("ALTER TABLE asgi_sessions_sessions RENAME TO gone")
        yield shop, browser, canary


@pytest.mark.usefixtures("pauses_are_short")
async def test_16_no_token_in_the_errors_of_a_broken_database(
    broken_shop: tuple[Shop, Browser, Canary], caplog: pytest.LogCaptureFixture
) -> None:
    shop, browser, canary = broken_shop
    for minutes in (0, 6):
        shop.clock.forward(minutes=minutes)
        for path in ("/me", "/auth/session/refresh", "/auth/signout", "/login/bob", "/broken", "/payload"):
            answer = await browser.send("POST", path, [("accept", "text/html")], body=b"{}", raises=False)
            assert answer.status == 503
            assert not any(canary.found_in(text) for text in texts_of(answer))
    manager = shop.manager
    for call in (
        manager.create_new_session_without_request("alice"),
        manager.refresh_session_without_request(browser.cookies[REFRESH]),
        manager.get_session_without_request(browser.cookies[ACCESS], check_database=True),
        manager.revoke_session_using_session_handle("0" * 32),
        manager.list_sessions_for_user("alice"),
    ):
        with pytest.raises(SessionError) as caught:
            await call
        error: BaseException | None = caught.value
        assert not canary.found_in("".join(traceback.format_exception(caught.value)))
        while error is not None:
            assert not canary.found_in(repr(error) + repr(error.args) + repr(vars(error)))
            assert "alice" not in repr(error.args)
            error = error.__cause__ or error.__context__
    assert not [text for _, text in texts_of_log(caplog.records) if canary.found_in(text)]


async def test_16_no_repr_shows_a_secret(opening: OpenShop) -> None:
    async with opening(csrf="both", promote_on="first_use", client_protocol="supertokens", cookie_prefix="") as shop:
        canary = Canary()
        manager = shop.manager
        issued = await manager.create_new_session_without_request("alice", jwt_payload={"a": 1})
        assert issued.anti_csrf_token is not None
        tokens = [issued.access_token.value, issued.refresh_token.value, issued.anti_csrf_token.value]
        canary.watch(*tokens)
        _secrets_of(shop, canary)
        lifecycle = manager.lifecycle
        access = await lifecycle.verifier.authentic(tokens[0])
        refresh = await lifecycle.refresher.authentic(tokens[1])
        assert access is not None
        assert refresh is not None
        canary.watch(refresh.secret, refresh.token_hash)
        cookie = f"sAccessToken={tokens[0]}; sRefreshToken={tokens[1]}".encode()
        carried = Transport(manager.settings).read([(b"cookie", cookie)])
        assert (carried.access, carried.refresh) == ([tokens[0]], [tokens[1]])
        shown = [
            issued,
            issued.session,
            issued.access_token,
            access,
            refresh,
            refresh.lineage,
            carried,
            manager,
            manager.settings,
            lifecycle,
            lifecycle.keys,
            lifecycle.keys.keyring,
            lifecycle.keys.keyring.keys,
            lifecycle.keys.refresh_tokens,
            await manager.list_sessions_for_user("alice"),
            await manager.refresh_session_without_request(tokens[1]),
        ]
        for thing in shown:
            for text in (repr(thing), str(thing), f"{thing}"):
                assert canary.found_in(text) == set(), type(thing)
        assert SECRET not in manager.settings.model_dump_json()


async def test_16_a_session_cannot_be_kept_or_sent_by_accident(shop: Shop) -> None:
    import copy
    import pickle

    issued = await shop.manager.create_new_session_without_request("alice")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(issued.session)
    with pytest.raises(TypeError, match="copied"):
        copy.copy(issued.session)


async def test_16_no_body_tells_an_attacker_which_part_was_wrong(shop: Shop) -> None:
    browser = await shop.login()
    ended = await shop.login()
    await ended.copy().post("/logout")
    bodies = set()
    for cookies in (
        [],
        [(ACCESS, "x")],
        [(ACCESS, of_unknown_key(browser.cookies[ACCESS], 7))],
        [(REFRESH, refresh_of_unknown_key(browser.cookies[REFRESH], 7))],
        [(REFRESH, browser.cookies[REFRESH][:-4] + "AAAA")],
        [(ACCESS, written(head(browser.cookies[ACCESS]), claims(browser.cookies[ACCESS]), b"k" * 32))],
        list(ended.cookies.items()),
        *(
            [(ACCESS, token.encode("utf-8", "surrogatepass").decode("latin-1"))]
            for _, token in list(forgeries(browser.cookies[ACCESS]))[:20]
        ),
    ):
        answer = await shop.browser().get("/me", cookies=cookies)
        bodies.add((answer.status, answer.body))
    assert bodies == {(401, b'{"detail":"Not logged in.","code":"unauthorised"}')}


async def test_16_rows_that_were_read_show_no_token(any_shop: Shop) -> None:
    canary = Canary()
    browser = any_shop.browser()
    canary.watch_answer(await browser.post("/login/alice"))
    handle = (await browser.get("/me")).json()["handle"]
    sessions: SessionRepository = any_shop.manager.lifecycle._sessions
    assert canary.found_in(repr(await sessions.find(handle))) == set()
