"""starsessions: the session is in the worker's memory, or in Redis where the environment names one."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starsessions import InMemoryStore, SessionAutoloadMiddleware, SessionMiddleware, SessionStore
from starsessions.stores.redis import RedisStore

redis = os.environ.get("BENCHMARK_REDIS_URL")
store: SessionStore = RedisStore(redis) if redis else InMemoryStore()


async def log_in(request: Request) -> PlainTextResponse:
    request.session["user"] = 42
    request.session["role"] = "editor"
    return PlainTextResponse("42")


async def me(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.session["user"]))


app = Starlette(
    routes=[Route("/log-in", log_in, methods=["POST"]), Route("/me", me)],
    middleware=[
        Middleware(SessionMiddleware, store=store, lifetime=14 * 24 * 60 * 60),
        Middleware(SessionAutoloadMiddleware),
    ],
)
