"""Starlette's own SessionMiddleware: the session is the signed cookie. Nothing can end it but its age."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def log_in(request: Request) -> PlainTextResponse:
    request.session["user"] = 42
    request.session["role"] = "editor"
    return PlainTextResponse("42")


async def me(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.session["user"]))


app = Starlette(
    routes=[Route("/log-in", log_in, methods=["POST"]), Route("/me", me)],
    middleware=[Middleware(SessionMiddleware, secret_key="benchmark-secret-key-of-32-bytes", https_only=True)],
)
