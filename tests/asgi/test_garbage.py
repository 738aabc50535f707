"""A connection that may outlast its session leaves nothing for the garbage collector, however it ends."""

import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import Session, SessionManager, SessionMiddleware, get_session
from asgi_sessions.asgi.answer import Answer
from asgi_sessions.asgi.connection_memory import ConnectionMemory
from asgi_sessions.asgi.termination import Termination
from asgi_sessions.manager.pending_termination import PendingTermination
from tests.asgi.connections import Response, Socket, login_cookie

OF_A_CONNECTION = (ConnectionMemory, Answer, Termination, PendingTermination, Session)

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")


async def echoes(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    await websocket.send_text("ready")
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


async def signs_out(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await session.revoke_session()
    await websocket.send_text("ready")
    await websocket.close()


def serves(endpoint: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(WebSocket(scope, receive, send))

    return app


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    await get_session(Request(scope))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"ready", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[str]]]:
    """What belongs to one connection and had to be collected since the test began."""

    def collected() -> list[str]:
        gc.collect()
        return [type(thing).__name__ for thing in gc.garbage if isinstance(thing, OF_A_CONNECTION)]

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield collected
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


CONNECTIONS: dict[str, tuple[type[Socket | Response], ASGIApp]] = {
    "a socket whose session is revoked": (Socket, serves(echoes)),
    "a socket that signs out": (Socket, serves(signs_out)),
    "a stream whose session is revoked": (Response, streams),
}


async def run_to_its_end(connection: Socket | Response, sessions: SessionManager, handle: str) -> None:
    async with connection:
        await connection.until(lambda: any("ready" in str(message) for message in connection.heard))
        await sessions.revoke_session_using_session_handle(handle)
        await connection.returned()


@pytest.mark.parametrize("kind", CONNECTIONS)
async def test_it_leaves_no_garbage(sessions: SessionManager, kind: str, garbage: Callable[[], list[str]]) -> None:
    new_connection, app = CONNECTIONS[kind]
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        middleware = SessionMiddleware(app, manager=sessions)
        await run_to_its_end(new_connection(middleware, cookie), sessions, handle)
        assert garbage() == []
