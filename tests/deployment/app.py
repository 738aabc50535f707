"""What the servers of the deployment tests serve. Settings come from the environment."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes

sessions = SessionManager()


async def login(request: Request) -> Response:
    session = await sessions.create_new_session(request, "alice")
    return JSONResponse({"handle": session.session_handle})


async def me(request: Request) -> Response:
    session = await get_session(request)
    return JSONResponse({"user": session.user_id})


async def logout(request: Request) -> Response:
    await (await get_session(request)).revoke_session()
    return JSONResponse({})


async def who(_: Request) -> Response:
    return JSONResponse({})


async def stream(request: Request) -> Response:
    await get_session(request)

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield b"data: tick\n\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(events(), media_type="text/event-stream")


async def socket(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    await websocket.send_text("open")
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def parting_socket(websocket: WebSocket) -> None:
    """Logs out before it accepts."""
    await (await get_session(websocket)).revoke_session()
    await websocket.accept()
    async for _ in websocket.iter_text():
        pass


class NamesWorker:
    """Says in each response's headers which process has served it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-worker", str(os.getpid()).encode())]
            await send(message)

        await self.app(scope, receive, named)


inner = Starlette(
    routes=[
        Route("/login", login, methods=["POST"]),
        Route("/me", me),
        Route("/logout", logout, methods=["POST"]),
        Route("/who", who),
        Route("/stream", stream),
        WebSocketRoute("/socket", socket),
        WebSocketRoute("/parting-socket", parting_socket),
        Mount("/auth", routes=session_routes()),
    ]
)
start_on: Literal["lifespan", "first_use"] = "first_use" if "START_ON_FIRST_USE" in os.environ else "lifespan"
app = NamesWorker(SessionMiddleware(inner, manager=sessions, start_on=start_on))
