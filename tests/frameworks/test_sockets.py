"""WebSockets of other frameworks: nobody is let in, and an open one ends with its session."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import ASGIApp

from asgi_sessions import SessionError, SessionManager, SessionMiddleware, SessionSettings, error_answer, get_session
from tests.asgi.connections import Socket, login_cookie
from tests.frameworks.sites import started
from tests.installed import installed


def litestar() -> Any:
    from litestar import Litestar, WebSocket, websocket

    @websocket("/socket")
    async def echo(socket: WebSocket) -> None:
        session = await get_session(socket)
        await socket.accept()
        async for text in socket.iter_data():
            await socket.send_text(f"{session.user_id}: {text}")

    return Litestar([echo])


def quart() -> Any:
    from quart import Quart, request, websocket

    site = Quart("sockets")

    @site.errorhandler(SessionError)
    async def session_error(error: SessionError) -> Any:
        status, headers, content = error_answer(request or websocket, error)
        return content, status, headers

    @site.websocket("/socket")
    async def echo() -> None:
        session = await get_session(websocket)
        while True:
            await websocket.send(f"{session.user_id}: {await websocket.receive()}")

    return site


def blacksheep() -> Any:
    from blacksheep import Application, WebSocket
    from blacksheep.server.routing import Router

    site = Application(router=Router())

    @site.router.ws("/socket")
    async def echo(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        while True:
            await websocket.send_text(f"{session.user_id}: {await websocket.receive_text()}")

    return site


def opened(app: ASGIApp, cookie: str) -> Socket:
    socket = Socket(app, cookie)
    del socket._scope["method"]  # Litestar would go by it
    return socket


@pytest.mark.parametrize("framework", [litestar, quart, blacksheep])
async def test_nobody_is_let_in_and_a_logout_ends_the_socket(framework: Callable[[], Any]) -> None:
    installed(framework.__name__, extra="frameworks")
    sessions = SessionManager(SessionSettings(database_url="sqlite+aiosqlite://"))
    app = SessionMiddleware(framework(), manager=sessions)
    async with started(app):
        handle, cookie = await login_cookie(sessions)
        async with opened(app, cookie) as socket:
            socket.say("hello")
            await socket.hears("alice: hello")
            await sessions.revoke_session_using_session_handle(handle)
            assert await socket.closed() == (4401, "session ended")
        async with opened(app, "") as socket:
            await socket.until(lambda: bool(socket.heard))
            assert socket.heard[0].get("status", 403) == (401 if framework is quart else 403)
            assert socket.heard[0]["type"] != "websocket.accept"
