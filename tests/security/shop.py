"""The application under attack, with a clock that tests move."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from fastapi import FastAPI
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from asgi_sessions import (
    SessionManager,
    SessionMiddleware,
    SessionSettings,
    get_optional_session,
    get_session,
    require_session,
    session_routes,
)
from asgi_sessions.fastapi import session_router
from asgi_sessions.store.engine import open_database
from tests.security.browser import Browser

SECRET = "a-secret-key-of-the-tests-0123456789-abcdefghij"
ACCESS, REFRESH, MARKER = "__Host-sAccessToken", "__Host-sRefreshToken", "__Host-sRetryMarker"
TABLES = ("sessions", "signing_keys", "leases", "state", "payload_changes", "session_index", "marks", "notifications")


class Clock:
    """Begins with the machine's time, since the database tells the time of a revocation."""

    def __init__(self) -> None:
        self.now = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, **duration: float) -> None:
        """Takes the arguments of `timedelta`."""
        self.now += round(timedelta(**duration) / timedelta(milliseconds=1))


@dataclass(frozen=True)
class Shop:
    """A running application.

    Attributes:
        manager: Started on this event loop.
        app: Its own pages, and the session endpoints under /auth.
        clock: The manager's.
    """

    manager: SessionManager
    app: ASGIApp
    clock: Clock

    def browser(self, **options: Any) -> Browser:
        return Browser(self.app, **options)

    async def login(self, user: str = "alice", **options: Any) -> Browser:
        """A new browser in which this user has logged in."""
        browser = self.browser(**options)
        for _ in range(5):
            answer = await browser.post(f"/login/{user}")
            if answer.status != 503:  # a busy machine's server may be slower than a statement may take: try again
                break
        assert answer.status == 200, answer.body
        return browser

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database, beside the manager."""
        database = await open_database(self.manager.settings.database_url_text)
        try:
            return [tuple(row) for row in (await database.run(text(statement))).rows]
        finally:
            await database.close()

    async def change(self, statement: str, **values: Any) -> None:
        """Write into the database, as somebody who has broken into it."""
        database = await open_database(self.manager.settings.database_url_text)
        try:
            await database.run(text(statement), values)
        finally:
            await database.close()

    async def dump(self) -> list[tuple[Any, ...]]:
        """Every row of every table."""
        return [row for table in TABLES for row in await self.rows(f"SELECT * FROM asgi_sessions_{table}")]


@asynccontextmanager
async def open_shop(
    database_url: str, *, clock: Clock | None = None, fastapi: bool = False, debug: bool = False, **settings: Any
) -> AsyncIterator[Shop]:
    """Run the application on a database.

    Args:
        database_url: Where.
        clock: To share one among several workers.
        fastapi: With `session_router` in place of `session_routes`.
        debug: Whether the framework shows its error pages.
        **settings: Beside a secret key, and no purge by itself.
    """
    clock = clock or Clock()
    given = {"database_url": database_url, "secret_key": SECRET, "purge_interval": 0} | settings
    manager = SessionManager(SessionSettings(**given), clock=clock)
    async with manager:
        yield Shop(manager, build_app(manager, fastapi=fastapi, debug=debug), clock)


def build_app(manager: SessionManager, *, fastapi: bool = False, debug: bool = False) -> ASGIApp:
    if fastapi:
        app = FastAPI(debug=debug)
        app.add_middleware(SessionMiddleware, manager=manager)
        app.include_router(session_router(max_auth_age=timedelta(days=1)), prefix="/auth")
        app.router.routes.extend(_pages(manager))
        return app
    endpoints = Mount("/auth", routes=session_routes(max_auth_age=timedelta(days=1)))
    middleware = [Middleware(SessionMiddleware, manager=manager)]
    return Starlette(debug=debug, routes=[endpoints, *_pages(manager)], middleware=middleware)


def _pages(manager: SessionManager) -> list[Route | WebSocketRoute]:
    checked = require_session(check_database=True)
    recent = require_session(max_auth_age=timedelta(minutes=10))
    admin = require_session(claims={"role": "admin"})
    careful = require_session(csrf=True)
    careless = require_session(csrf=False)

    async def login(request: Request) -> Response:
        user: Any = request.path_params["user"]
        user = int(user) if user.isdigit() else user
        body = await request.body()
        payload = json.loads(body) if body else {"role": "customer"}
        session = await manager.create_new_session(request, user, jwt_payload=payload, session_info={"cart": []})
        return JSONResponse({"user": session.user_id, "handle": session.session_handle})

    async def me(request: Request) -> Response:
        session = await get_session(request)
        return JSONResponse({"user": session.user_id, "handle": session.session_handle})

    async def perhaps(request: Request) -> Response:
        session = await get_optional_session(request)
        return JSONResponse({"user": session.user_id if session else None})

    async def with_checked(request: Request) -> Response:
        return JSONResponse({"user": (await checked(request)).user_id})

    async def with_recent(request: Request) -> Response:
        return JSONResponse({"user": (await recent(request)).user_id})

    async def with_claims(request: Request) -> Response:
        return JSONResponse({"user": (await admin(request)).user_id})

    async def with_csrf(request: Request) -> Response:
        return JSONResponse({"user": (await careful(request)).user_id})

    async def without_csrf(request: Request) -> Response:
        return JSONResponse({"user": (await careless(request)).user_id})

    async def payload(request: Request) -> Response:
        await (await get_session(request)).update_jwt_payload(json.loads(await request.body()))
        return JSONResponse({})

    async def logout(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        return JSONResponse({})

    async def broken(request: Request) -> Response:
        session = await get_session(request)
        raise RuntimeError(f"an application's own mistake with {session!r}")

    async def public(request: Request) -> Response:
        return JSONResponse({})

    async def upload(request: Request) -> Response:
        await request.body()
        cast(Clock, manager.clock).forward(seconds=31)  # so long it took
        return JSONResponse({"user": (await get_session(request)).user_id})

    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text(str(session.user_id))

    everything = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
    return [
        Route("/login/{user}", login, methods=["POST"]),
        Route("/me", me, methods=everything),
        Route("/perhaps", perhaps, methods=everything),
        Route("/checked", with_checked, methods=everything),
        Route("/recent", with_recent, methods=everything),
        Route("/admin", with_claims, methods=everything),
        Route("/careful", with_csrf, methods=everything),
        Route("/careless", without_csrf, methods=everything),
        Route("/payload", payload, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/broken", broken, methods=everything),
        Route("/public", public, methods=everything),
        Route("/upload", upload, methods=["POST"]),
        WebSocketRoute("/socket", socket),
    ]
