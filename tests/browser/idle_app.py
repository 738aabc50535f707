"""Pages with the example's scripts as others copy them, under a clock that a test can move."""

import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, session_routes
from tests.uvicorn_server import PROJECT

CLOCK = "IDLE_CLOCK"
"""The variable that names a file: by how many milliseconds the worker's clock is ahead."""
WARN_BEFORE = 300
"""Seconds, on the page that says so."""
SCRIPT = "/static/idle-warning.js"

_GUIDE = (PROJECT / "docs" / "fastapi.md").read_text()
_ATTRIBUTES = f'data-warn-before="{WARN_BEFORE}" data-here="/signed-out"'
TAGS = {
    "/with-attributes": f'<script src="{SCRIPT}" {_ATTRIBUTES} defer></script>',
    "/as-documented": _GUIDE[_GUIDE.index(f'<script src="{SCRIPT}"') :].partition("\n")[0],
    "/bare": f'<script src="{SCRIPT}"></script>',
    "/its-own-end": f'<script src="{SCRIPT}" data-here="/its-own-end"></script>',
    "/users": f'<script src="{SCRIPT}" data-routes="/users/auth"></script>',
}
"""The script as pages have it in their head. They show whether or not anybody is signed in."""
LIVE = "/static/live-sign-out.js"


def clock() -> int:
    return time.time_ns() // 1_000_000 + int(Path(os.environ[CLOCK]).read_text())


sessions = SessionManager(clock=clock)


async def page(request: Request) -> Response:
    tag = TAGS.get(request.url.path, f'<script src="{LIVE}"></script>')
    return HTMLResponse(f"<!doctype html><title>A page</title>{tag}<h1>A page</h1>")


async def home(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Home</title><h1>Home</h1>")


async def signed_out(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Signed out</title><h1>Signed out</h1>")


async def log_in(request: Request) -> Response:
    return JSONResponse({"user": (await sessions.create_new_session(request, "Ada")).user_id})


async def live(websocket: WebSocket) -> None:
    await sessions.get_session(websocket)
    await websocket.accept()
    await websocket.receive()
    await websocket.receive()


async def script(request: Request) -> Response:
    return FileResponse(PROJECT / "example_app" / request.url.path.removeprefix("/"))


app = Starlette(
    routes=[
        Route("/", home),
        *(Route(path, page) for path in TAGS),
        Route("/log-in", log_in),
        Route("/signed-out", signed_out),
        Route("/live", page),
        WebSocketRoute("/api/live", live),
        Route(SCRIPT, script),
        Route(LIVE, script),
        Mount("/users/auth", routes=session_routes()),
        Mount("/auth", routes=session_routes()),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
