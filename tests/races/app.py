"""The application whose sessions race: log in, who am I, log out, and the endpoints of the package."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes

ACCESS, REFRESH, MARKER = "__Host-sAccessToken", "__Host-sRefreshToken", "__Host-sRetryMarker"


def build_app(manager: SessionManager) -> Starlette:
    async def login(request: Request) -> Response:
        session = await manager.create_new_session(request, request.path_params["user"])
        return JSONResponse({"handle": session.session_handle})

    async def me(request: Request) -> Response:
        session = await get_session(request)
        return JSONResponse({"handle": session.session_handle})

    async def logout(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        return JSONResponse({})

    async def pid(request: Request) -> Response:
        return JSONResponse(os.getpid())

    return Starlette(
        routes=[
            Route("/login/{user}", login, methods=["POST"]),
            Route("/me", me),
            Route("/pid", pid),
            Route("/logout", logout, methods=["POST"]),
            Mount("/auth", routes=session_routes()),
        ],
        middleware=[Middleware(SessionMiddleware, manager=manager)],
    )
