"""A page whose script calls the server as the documentation tells it to, under a clock that a test can move."""

import logging
import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes
from tests.docs.pages import ROOT, blocks_of

CLOCK = "CROWD_CLOCK"
"""The variable that names a file: by how many milliseconds the workers' clocks are ahead."""

(CALL,) = (block.code for block in blocks_of(ROOT / "docs" / "rotation.md") if block.language == "js")
"""The documentation's ``call()``, which knows of no lock between requests."""

PAGE = f"""<!doctype html>
<title>A page</title>
<h1></h1>
<script>
{CALL}
call("/me").then(answer => answer.json()).then(body => {{
  document.querySelector("h1").textContent = body.user ? `Hello ${{body.user}}` : "Nobody";
}});
</script>
"""


def clock() -> int:
    return time.time_ns() // 1_000_000 + int(Path(os.environ[CLOCK]).read_text())


sessions = SessionManager(clock=clock)

audit = logging.StreamHandler()
# One line for each event: AUDIT, the event, and of a refresh the generation that was given out.
audit.setFormatter(logging.Formatter("AUDIT %(event)s %(generation)s", defaults={"generation": "-"}))
logging.getLogger("asgi_sessions.audit").addHandler(audit)
logging.getLogger("asgi_sessions.audit").setLevel(logging.INFO)


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def log_in(request: Request) -> Response:
    session = await sessions.create_new_session(request, "Ada")
    return JSONResponse({"user": session.user_id})


async def me(request: Request) -> Response:
    return JSONResponse({"user": (await get_session(request)).user_id})


app = Starlette(
    routes=[
        Mount("/auth", routes=session_routes()),
        Route("/", page),
        Route("/log-in", log_in, methods=["POST"]),
        Route("/me", me),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
