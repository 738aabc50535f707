"""Whoever asks for the session late: it ends no more than an old response could, and is served no longer than once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.asgi.termination import ConnectionTerminated
from asgi_sessions.protocol.rotation import MOST_OVERTAKEN_PARENTS
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.repository import SessionRepository, SessionRow
from tests.asgi.apps import ACCESS, LIFETIME, MARKER, REFRESH, application, new_manager
from tests.asgi.connections import Socket, login_cookie, scope_of
from tests.clocks import MovableClock
from tests.security.browser import Browser

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

START = {"type": "http.response.start", "status": 200}
LAST = {"type": "http.response.body", "body": b"all of it", "more_body": False}


@pytest.fixture
def sessions(clock: MovableClock) -> SessionManager:
    return new_manager(clock)


async def answer(sessions: SessionManager, app: Callable[[Scope, Send], Awaitable[None]], cookie: str) -> list[Message]:
    """What a server hears."""
    heard: list[Message] = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        heard.append(message)

    await SessionMiddleware(endpoint, manager=sessions)(
        scope_of("http", "/", cookie, spec_version="2.3"), receive, send
    )
    return heard


async def test_after_the_application_has_returned_nobody_is_left_waiting(sessions: SessionManager) -> None:
    left_behind: list[Scope] = []

    async def app(scope: Scope, send: Send) -> None:
        left_behind.append(dict(scope))
        await send(dict(START))
        await send(dict(LAST))

    async with sessions:
        _, cookie = await login_cookie(sessions)
        await answer(sessions, app, cookie)
        assert (await get_session(HTTPConnection(left_behind[0]))).user_id == "alice"
        assert len(sessions.lifecycle._listeners) == 0


async def test_a_complete_stream_has_no_second_end(sessions: SessionManager) -> None:
    async def app(scope: Scope, send: Send) -> None:
        await send(dict(START))
        await send(dict(LAST))
        session = await get_session(HTTPConnection(scope))  # as a background task does
        await sessions.revoke_session_using_session_handle(session.session_handle)
        await asyncio.sleep(0.01)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        heard = await answer(sessions, app, cookie)
    assert [message["type"] for message in heard] == [START["type"], LAST["type"]]


async def test_a_stream_that_nobody_asked_for_ends_once_somebody_has(sessions: SessionManager) -> None:
    async def app(scope: Scope, send: Send) -> None:
        await send(dict(START))
        session = await get_session(HTTPConnection(scope))
        await sessions.revoke_session_using_session_handle(session.session_handle)
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionTerminated):
            await send(dict(LAST))

    async with sessions:
        _, cookie = await login_cookie(sessions)
        heard = await answer(sessions, app, cookie)
    assert [message.get("body") for message in heard] == [None, b""]


async def test_a_response_that_says_how_long_it_is_is_whole_whatever_holds_its_headers(
    sessions: SessionManager,
) -> None:
    async def app(scope: Scope, send: Send) -> None:
        headers = [(b"content-length", b"9")]
        await send({**START, "headers": (header for header in headers)})
        session = await get_session(HTTPConnection(scope))
        await sessions.revoke_session_using_session_handle(session.session_handle)
        await asyncio.sleep(0.01)
        await send(dict(LAST))

    async with sessions:
        _, cookie = await login_cookie(sessions)
        heard = await answer(sessions, app, cookie)
    assert list(heard[0]["headers"]) == [(b"content-length", b"9")]
    assert heard[-1]["body"] == b"all of it"


async def test_an_application_that_starts_twice_hands_out_its_cookies_once(sessions: SessionManager) -> None:
    async def app(scope: Scope, send: Send) -> None:
        await sessions.create_new_session(Request(scope), "alice")
        for _ in range(2):  # whether the second one is let through is for the server to say
            await send({**START, "headers": [(b"content-length", b"0")]})

    async with sessions:
        first, second = await answer(sessions, app, "")
    assert sum(name == b"set-cookie" for name, _ in first["headers"]) == 2
    assert second["headers"] == [(b"content-length", b"0")]


# -- more than half a minute after the request arrived, or after others have refreshed


def browser_of(app: ASGIApp) -> Browser:
    return Browser(app, host="testserver")


async def test_parents_that_arrived_before_the_promotion_are_served_at_any_number_of_generations(
    sessions: SessionManager, clock: MovableClock
) -> None:
    others: list[Browser] = []

    async def overtaken(request: Request) -> Response:
        clock.advance(1)
        for other in others:
            assert (await other.get("/me")).status == 200  # another tab promotes meanwhile
        return PlainTextResponse((await get_session(request)).user_id)

    app = application(sessions, Route("/overtaken", overtaken))
    async with sessions:
        newest = browser_of(app)
        await newest.post("/login")
        for _ in range(MOST_OVERTAKEN_PARENTS + 3):
            slow = newest.copy()
            clock.advance(LIFETIME)
            await newest.get("/me")
            clock.advance(LIFETIME)
            others[:] = [newest]
            answer = await slow.get("/overtaken")
            assert (answer.status, answer.body, set(answer.set_values)) == (200, b"alice", {MARKER})
        [row] = await sessions.lifecycle._sessions.list_of(b"s:alice", now=clock())
        assert row.late_count == 0


async def test_an_overtaken_parent_whose_times_are_over_is_told_once_and_then_the_jar_goes_on(
    sessions: SessionManager, clock: MovableClock
) -> None:
    async with sessions:
        browser = browser_of(application(sessions))
        await browser.post("/login")
        for generation in range(MOST_OVERTAKEN_PARENTS + 1):
            old = browser.copy()
            for _ in range(2):
                clock.advance(LIFETIME)
                assert (await browser.get("/me")).status == 200
            answer = await old.get("/me")
            expected = (200, None) if generation < MOST_OVERTAKEN_PARENTS else (409, "already_rotated")
            assert (answer.status, answer.code) == expected
            assert set(answer.set_values) == {MARKER}
        old.cookies |= browser.cookies  # the other tab's answer arrives
        assert (await old.get("/me")).status == 200


async def test_a_payload_that_is_changed_late_leaves_with_the_next_refresh_and_not_with_this_answer(
    sessions: SessionManager, clock: MovableClock
) -> None:
    async def late(request: Request) -> Response:
        clock.advance(31)
        session = await get_session(request)
        await session.update_jwt_payload({"n": 1})
        return PlainTextResponse(str(session.jwt_payload))

    async with sessions:
        browser = browser_of(application(sessions, Route("/late", late)))
        await browser.post("/login")
        clock.advance(LIFETIME)
        del browser.cookies[ACCESS]
        answer = await browser.get("/late")
        assert (answer.status, answer.body, answer.set_values) == (200, b"{'n': 1}", {})
        answer = await browser.get("/me")
        assert set(answer.set_values) == {ACCESS, REFRESH}
        assert answer.json()["payload"] == {"n": 1}


async def test_a_login_after_a_service_without_tokens_hands_out_its_own_with_the_changed_payload(
    sessions: SessionManager, clock: MovableClock
) -> None:
    async def late(request: Request) -> Response:
        clock.advance(31)
        await get_session(request)
        session = await sessions.create_new_session(request, "bob")
        await session.update_jwt_payload({"n": 1})
        return PlainTextResponse("")

    async with sessions:
        browser = browser_of(application(sessions, Route("/late", late)))
        await browser.post("/login")
        clock.advance(LIFETIME)
        assert set((await browser.get("/late")).set_values) == {ACCESS, REFRESH}
        described = (await browser.get("/me")).json()
        assert (described["user"], described["payload"]) == ("bob", {"n": 1})


async def test_nobody_is_refused_on_a_stale_read(
    sessions: SessionManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(request: Request) -> Response:
        clock.advance(31)
        return PlainTextResponse((await get_session(request)).user_id)

    find = SessionRepository.find
    reads: list[bool] = []

    async def found(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        row = await find(self, handle, fresh=fresh)
        reads.append(fresh)
        if fresh or row is None:
            return row
        return replace(row, late_gen=0, late_at=clock() - 3_600_000)  # a node that is behind, or not ours at all

    async with sessions:
        browser = browser_of(application(sessions, Route("/late", late)))
        await browser.post("/login")
        clock.advance(LIFETIME)
        monkeypatch.setattr(SessionRepository, "find", found)
        assert (await browser.get("/late")).status == 200
    assert reads == [True]


async def test_an_interrupted_note_is_looked_at_again(
    sessions: SessionManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(request: Request) -> Response:
        clock.advance(31)
        return PlainTextResponse((await get_session(request)).user_id)

    serve = SessionRepository.serve

    async def interrupted(self: SessionRepository, *arguments: Any, **options: Any) -> bool:
        await serve(self, *arguments, **options)
        raise StatementInterrupted

    async with sessions:
        browser = browser_of(application(sessions, Route("/late", late)))
        await browser.post("/login")
        clock.advance(LIFETIME)
        monkeypatch.setattr(SessionRepository, "serve", interrupted)
        assert (await browser.get("/late")).status == 200


async def test_a_socket_that_asks_after_accept_is_served_for_one_access_tokens_lifetime(
    sessions: SessionManager, clock: MovableClock
) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text((await get_session(websocket)).user_id)

    async def heard(cookie: str) -> list[str] | list[tuple[int, str]]:
        async with Socket(app, cookie, "/") as socket:
            await socket.returned()
        return socket.texts or socket.closes

    app = application(sessions, WebSocketRoute("/", socket))
    async with sessions:
        _, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME)
        assert await heard(cookie) == ["alice"]
        clock.advance(299)
        assert await heard(cookie) == ["alice"]
        clock.advance(1)
        assert await heard(cookie) == [(1008, "try_refresh_token")]
