"""A login whose response never starts leaves no session: nobody has its tokens."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, Unauthorised
from tests.asgi.connections import scope_of


class Broken(Exception):
    """An application's own."""


async def answer(
    sessions: SessionManager,
    app: Any,
    cancel_when: asyncio.Event | None = None,
    *,
    kind: str = "http",
    denies: bool = True,
    fails_at: int | None = None,
) -> list[Message]:
    """What the server hears, which breaks down at a message."""
    heard: list[Message] = []

    async def send(message: Message) -> None:
        if len(heard) == fails_at:
            raise Broken
        heard.append(message)

    async def receive() -> Message:
        raise NotImplementedError

    scope = scope_of(kind, "/", "", spec_version="2.3")
    if not denies:
        del scope["extensions"]["websocket.http.response"]
    request = asyncio.create_task(SessionMiddleware(app, manager=sessions)(scope, receive, send))
    if cancel_when is not None:
        await cancel_when.wait()
        request.cancel()
    await asyncio.wait([request])
    if not request.cancelled() and not isinstance(request.exception(), Broken | None):
        request.result()
    await sessions.lifecycle.close()
    return heard


async def live(sessions: SessionManager) -> int:
    return len(await sessions.get_all_session_handles_for_user("alice"))


async def test_a_request_that_is_cancelled_after_its_login_leaves_no_session(sessions: SessionManager) -> None:
    logged_in = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sessions.create_new_session(Request(scope), "alice")
        logged_in.set()
        await asyncio.Event().wait()

    async with sessions:
        await answer(sessions, app, cancel_when=logged_in)
        assert await live(sessions) == 0


async def test_an_application_that_fails_after_its_login_and_is_answered_further_out_leaves_no_session(
    sessions: SessionManager,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sessions.create_new_session(Request(scope), "alice")
        raise Broken

    async with sessions:
        assert await answer(sessions, app) == []
        assert await live(sessions) == 0


@pytest.mark.parametrize("error", [None, Unauthorised(clear_cookies=False)])
async def test_a_login_whose_answer_leaves_stays_even_where_it_is_an_error(
    error: Exception | None, sessions: SessionManager
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sessions.create_new_session(Request(scope), "alice")
        if error is not None:
            raise error
        await Response()(scope, receive, send)
        raise Broken

    async with sessions:
        start, *_ = await answer(sessions, app)
        assert sum(name == b"set-cookie" for name, _ in start["headers"]) == 2
        assert await live(sessions) == 1


# -- the answer does not leave, though the application has given one

START: Message = {"type": "http.response.start", "status": 200}
ACCEPT: Message = {"type": "websocket.accept"}
CLOSE: Message = {"type": "websocket.close"}
DENIAL: Message = {"type": "websocket.http.response.start", "status": 403}


def login_then(sessions: SessionManager, kind: str, *messages: Message) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection = Request(scope) if kind == "http" else WebSocket(scope, receive, send)
        await sessions.create_new_session(connection, "alice")
        for message in messages:
            await send(dict(message))

    return app


@pytest.mark.parametrize(
    ("kind", "first"), [("http", START), ("websocket", ACCEPT), ("websocket", CLOSE), ("websocket", DENIAL)]
)
async def test_a_login_whose_answer_the_server_does_not_take_leaves_no_session(
    kind: str, first: Message, sessions: SessionManager
) -> None:
    async with sessions:
        assert await answer(sessions, login_then(sessions, kind, first), kind=kind, fails_at=0) == []
        assert await live(sessions) == 0


@pytest.mark.parametrize(("kind", "first"), [("http", START), ("websocket", ACCEPT)])
async def test_a_login_whose_answer_has_left_stays_whatever_the_server_does_not_take_afterwards(
    kind: str, first: Message, sessions: SessionManager
) -> None:
    async with sessions:
        heard = await answer(sessions, login_then(sessions, kind, first, first), kind=kind, fails_at=1)
        assert len(heard) == 1
        assert await live(sessions) == 1


async def test_a_login_on_a_socket_that_is_never_answered_leaves_no_session(sessions: SessionManager) -> None:
    async with sessions:
        assert await answer(sessions, login_then(sessions, "websocket"), kind="websocket") == []
        assert await live(sessions) == 0


@pytest.mark.parametrize(("denies", "expected"), [(True, 1), (False, 0)])
async def test_a_login_before_a_socket_is_closed_stays_where_a_denial_can_carry_its_cookies(
    denies: bool, expected: int, sessions: SessionManager
) -> None:
    async with sessions:
        heard = await answer(sessions, login_then(sessions, "websocket", CLOSE), kind="websocket", denies=denies)
        assert any(name == b"set-cookie" for name, _ in heard[0].get("headers", ())) == denies
        assert await live(sessions) == expected
