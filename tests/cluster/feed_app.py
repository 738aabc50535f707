"""What the workers of the feed's tests serve. Settings come from the environment."""

import os
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, get_session, require_session, session_routes

sessions = SessionManager()
checked = require_session(check_database=True)


async def pid(request: Request) -> Response:
    return JSONResponse(os.getpid())


async def login(request: Request) -> Response:
    session = await sessions.create_new_session(request, request.path_params["user"])
    return JSONResponse({"handle": session.session_handle})


async def me(request: Request) -> Response:
    return JSONResponse({"user": (await get_session(request)).user_id, "pid": os.getpid()})


async def asked(request: Request) -> Response:
    return JSONResponse({"user": (await checked(request)).user_id})


async def revoke(request: Request) -> Response:
    return JSONResponse(await sessions.revoke_session_using_session_handle(request.path_params["handle"]))


async def revoke_all(request: Request) -> Response:
    return JSONResponse(await sessions.revoke_all_sessions_for_user(request.path_params["user"]))


async def role(request: Request) -> Response:
    return JSONResponse((await get_session(request)).jwt_payload)


async def change_role(request: Request) -> Response:
    user, new = request.path_params["user"], request.path_params["role"]
    return JSONResponse(await sessions.change_jwt_payload_for_user(user, lambda _: new))


async def block(request: Request) -> Response:
    time.sleep(float(request.path_params["seconds"]))  # the mistake that it is
    return JSONResponse({})


async def staleness(request: Request) -> Response:
    found = sessions.revocation_staleness
    return JSONResponse(None if found is None else found.total_seconds())


app = Starlette(
    routes=[
        Route("/pid", pid),
        Route("/login/{user}", login, methods=["POST"]),
        Route("/me", me),
        Route("/asked", asked),
        Route("/revoke/{handle}", revoke, methods=["POST"]),
        Route("/revoke-all/{user}", revoke_all, methods=["POST"]),
        Route("/role", role),
        Route("/role/{user}/{role}", change_role, methods=["POST"]),
        Route("/block/{seconds}", block),
        Route("/staleness", staleness),
        Mount("/auth", routes=session_routes()),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
