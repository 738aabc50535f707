"""What the simulated browsers talk to: a login, a page that needs the session, and the session's own endpoints."""

import logging
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes

sessions = SessionManager()

audit = logging.StreamHandler()
# One line for each event: AUDIT, the event, the user, and of a theft the verdict.
audit.setFormatter(logging.Formatter("AUDIT %(event)s %(user_id)s %(reason)s", defaults={"reason": "-"}))
logging.getLogger("asgi_sessions.audit").addHandler(audit)
logging.getLogger("asgi_sessions.audit").setLevel(logging.INFO)


async def log_in(request: Request) -> Response:
    session = await sessions.create_new_session(request, request.path_params["user"])
    return JSONResponse({"user": session.user_id})


async def me(request: Request) -> Response:
    session = await get_session(request)
    return JSONResponse({"user": session.user_id}, headers={"X-Worker": str(os.getpid())})


app = Starlette(
    routes=[
        Mount("/auth", routes=session_routes()),
        Route("/log-in/{user}", log_in, methods=["POST"]),
        Route("/me", me),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
