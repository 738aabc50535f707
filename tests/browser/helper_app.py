"""Pages that use the browser helper, under a clock that a test can move; and what they have asked for."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes

CLOCK = "HELPER_CLOCK"
"""The variable that names a file: by how many milliseconds the worker's clock is ahead."""

PAGE = """<!doctype html>
<html data-options='{options}'>
<title>A page</title>
<h1>A page</h1>
<input>
<script type="module" src="/page.js"></script>
"""
SCRIPT = """
import { Session } from "/auth/session.js";
window.session = new Session(JSON.parse(document.documentElement.dataset.options));
window.reasons = [];
session.addEventListener("signedout", event => reasons.push(event.reason));
document.querySelector("h1").textContent = (await session.check())?.user_id ?? "Nobody";
"""
OPTIONS = {"/": "{}", "/socket": '{"socket": "/api/socket"}', "/events": '{"events": "/api/events"}'}
"""The pages, and what each gives to the helper."""
POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self' wss:"
"""As strict as can be: the helper needs no more."""

WORKER = """
import { Session } from "/auth/session.js";
const session = new Session();
session.addEventListener("signedout", event => postMessage(event.reason));
onmessage = async ({ data }) => {
  const answers = await Promise.all(Array.from({ length: data }, (_, n) => session.fetch(`/me?worker=${n}`)));
  postMessage(answers.map(answer => answer.status));
};
"""


def clock() -> int:
    return time.time_ns() // 1_000_000 + int(Path(os.environ[CLOCK]).read_text())


sessions = SessionManager(clock=clock)
asked: Counter[str] = Counter()


class Counting:
    """Counts requests, by method and path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            asked[f"{scope.get('method', 'WebSocket')} {scope['path']}"] += 1
        await self._app(scope, receive, send)


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE.format(options=OPTIONS[request.url.path]), headers={"Content-Security-Policy": POLICY})


async def elsewhere(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>")


async def script(_: Request) -> Response:
    return Response(SCRIPT, media_type="text/javascript")


async def worker(_: Request) -> Response:
    return Response(WORKER, media_type="text/javascript")


async def log_in(request: Request) -> Response:
    session = await sessions.create_new_session(request, request.query_params.get("user", "Ada"))
    return JSONResponse({"handle": session.session_handle})


async def me(request: Request) -> Response:
    session = await get_session(request)
    return JSONResponse({"user": session.user_id, "body": len(await request.body())})


async def other_device(request: Request) -> Response:
    """Somebody ends all sessions of a user, without any cookie."""
    return JSONResponse({"ended": await sessions.revoke_all_sessions_for_user(request.query_params["user"])})


async def counts(_: Request) -> Response:
    return JSONResponse(asked)


async def socket(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def events(request: Request) -> Response:
    await get_session(request)

    async def forever() -> AsyncIterator[str]:
        yield ": hello\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(forever(), media_type="text/event-stream")


app = Starlette(
    routes=[
        *(Route(path, page) for path in OPTIONS),
        Route("/elsewhere", elsewhere),
        Route("/page.js", script),
        Route("/worker.js", worker),
        Route("/log-in", log_in, methods=["POST"]),
        Route("/me", me, methods=["GET", "POST", "PUT"]),
        Route("/other-device", other_device, methods=["POST"]),
        Route("/counts", counts),
        WebSocketRoute("/api/socket", socket),
        Route("/api/events", events),
        Mount("/auth", routes=session_routes()),
    ],
    middleware=[Middleware(Counting), Middleware(SessionMiddleware, manager=sessions)],
)
