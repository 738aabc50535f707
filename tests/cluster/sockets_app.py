"""What the workers of the sockets' tests serve. Settings come from the environment."""

import asyncio
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.asgi.termination import Termination

sessions = SessionManager()

if "SOCKETS_WITHOUT_WATCH" in os.environ:  # to compare memory with
    Termination.session_taken = lambda self, connection: None  # type: ignore[method-assign]


async def socket(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def talking_socket(websocket: WebSocket) -> None:
    """Sends, and never listens; knows nothing of disconnects."""
    await get_session(websocket)
    await websocket.accept()
    while True:
        await websocket.send_text(str(os.getpid()))
        await asyncio.sleep(0.05)


async def stream(request: Request) -> Response:
    await get_session(request)

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"data: %d\n\n" % os.getpid()
            await asyncio.sleep(0.05)

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def silent_stream(request: Request) -> Response:
    await get_session(request)

    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    return StreamingResponse(nothing(), media_type="text/event-stream")


async def pid(request: Request) -> Response:
    return JSONResponse(os.getpid())


app = Starlette(
    routes=[
        WebSocketRoute("/socket", socket),
        WebSocketRoute("/talking-socket", talking_socket),
        Route("/stream", stream),
        Route("/silent-stream", silent_stream),
        Route("/pid", pid),
    ]
)
app.add_middleware(SessionMiddleware, manager=sessions)
