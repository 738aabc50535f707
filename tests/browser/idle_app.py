"""Pages with the example's warning before the idle timeout, under a clock that a test can move."""

import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, session_routes
from tests.uvicorn_server import PROJECT

CLOCK = "IDLE_CLOCK"
"""The variable that names a file: by how many milliseconds the worker's clock is ahead."""
WARN_BEFORE = 120
"""Seconds."""

PAGE = f"""<!doctype html>
<title>A page</title>
<h1>Signed in</h1>
<script src="/idle-warning.js" data-warn-before="{WARN_BEFORE}" data-here="/signed-out" defer></script>
"""


def clock() -> int:
    return time.time_ns() // 1_000_000 + int(Path(os.environ[CLOCK]).read_text())


sessions = SessionManager(clock=clock)


async def page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def signed_out(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>A page</title><h1>Signed out</h1>")


async def log_in(request: Request) -> Response:
    return JSONResponse({"user": (await sessions.create_new_session(request, "Ada")).user_id})


async def script(_: Request) -> Response:
    return FileResponse(PROJECT / "example_app" / "static" / "idle-warning.js")


app = Starlette(
    routes=[
        Route("/", page),
        Route("/log-in", log_in),
        Route("/signed-out", signed_out),
        Route("/idle-warning.js", script),
        Mount("/auth", routes=session_routes()),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
