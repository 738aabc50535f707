"""Starlette without sessions."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def me(request: Request) -> PlainTextResponse:
    return PlainTextResponse("42")


async def perhaps(request: Request) -> PlainTextResponse:
    return PlainTextResponse("nobody")


async def public(request: Request) -> PlainTextResponse:
    return PlainTextResponse("public")


app = Starlette(
    routes=[
        Route("/log-in", me, methods=["POST"]),
        Route("/me", me),
        Route("/perhaps", perhaps),
        Route("/public", public),
    ]
)
