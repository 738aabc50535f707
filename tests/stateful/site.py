"""The application: pages for all that a browser can ask of a session."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from asgi_sessions import (
    Session,
    SessionManager,
    SessionMiddleware,
    get_optional_session,
    get_session,
    require_session,
    session_routes,
)
from tests.stateful.profiles import persistent

Meanwhile = Callable[[], Awaitable[None]]


def build_site(manager: SessionManager, meanwhile: Meanwhile) -> ASGIApp:
    """The application of one worker.

    Args:
        manager: The worker's.
        meanwhile: What happens while ``/slow`` is at work.
    """
    checked = require_session(check_database=True)

    async def log_in(request: Request) -> Response:
        given = await request.json()
        session = await manager.create_new_session(
            request,
            given["user"],
            jwt_payload=given["payload"],
            session_info=given["info"],
            persistent=persistent(given["user"]),
        )
        return described(session)

    async def page(request: Request) -> Response:
        return described(await get_session(request))

    async def checked_page(request: Request) -> Response:
        return described(await checked(request))

    async def for_everybody(request: Request) -> Response:
        session = await get_optional_session(request)
        return JSONResponse(None) if session is None else described(session)

    async def slow(request: Request) -> Response:
        session = await get_session(request)
        await meanwhile()
        return described(session)

    async def set_payload(request: Request) -> Response:
        session = await get_session(request)
        await session.update_jwt_payload(await request.json())
        return described(session)

    async def info(request: Request) -> Response:
        return JSONResponse(await (await get_session(request)).get_session_info())

    async def set_info(request: Request) -> Response:
        await (await get_session(request)).update_session_info(await request.json())
        return JSONResponse(None)

    async def log_out(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        return JSONResponse(None)

    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text(bytes(described(session).body).decode())
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    routes = [
        Mount("/auth", routes=session_routes()),
        Route("/login", log_in, methods=["POST"]),
        Route("/page", page),
        Route("/checked", checked_page),
        Route("/everybody", for_everybody),
        Route("/slow", slow),
        Route("/payload", set_payload, methods=["POST"]),
        Route("/info", info),
        Route("/info/set", set_info, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        WebSocketRoute("/socket", socket),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, manager=manager)])


def described(session: Session[Any, Any]) -> Response:
    """As the package's own endpoints describe a session."""
    return JSONResponse(
        {
            "session_handle": session.session_handle,
            "form_tag": session.form_tag,
            "user_id": session.user_id,
            "jwt_payload": session.jwt_payload,
            "persistent": session.persistent,
            "auth_time": session.auth_time.isoformat(),
            "expires_at": session.expires_at.isoformat(),
            "authentication_methods": dict(session.authentication_methods),
            "actor": session.actor,
        }
    )
