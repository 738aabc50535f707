"""Whoever asks for the session after the response has started: it ends no more than the old response could."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.asgi.ending import SessionOver
from tests.asgi.apps import new_manager
from tests.asgi.connections import login_cookie, scope_of
from tests.clocks import MovableClock

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
        assert len(sessions.lifecycle._watchers) == 0


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
        with pytest.raises(SessionOver):
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
