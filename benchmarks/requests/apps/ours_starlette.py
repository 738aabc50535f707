"""Starlette with our sessions, as the settings in the environment say."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings, get_optional_session, get_session

sessions = SessionManager(SessionSettings())


async def log_in(request: Request) -> PlainTextResponse:
    user = int(request.query_params.get("user", "42"))
    await sessions.create_new_session(request, user, jwt_payload={"role": "editor"})
    return PlainTextResponse(str(user))


async def me(request: Request) -> PlainTextResponse:
    session = await get_session(request)
    return PlainTextResponse(str(session.user_id))


async def perhaps(request: Request) -> PlainTextResponse:
    session = await get_optional_session(request)
    return PlainTextResponse("nobody" if session is None else str(session.user_id))


async def public(request: Request) -> PlainTextResponse:
    return PlainTextResponse("public")


app = Starlette(
    routes=[
        Route("/log-in", log_in, methods=["POST"]),
        Route("/me", me),
        Route("/perhaps", perhaps),
        Route("/public", public),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
