"""Two services as processes of their own: one whose ends are told, and one that is told of them.

ACCOUNTS_ISSUER, and for the first one RECEIVER_URL, are in the environment; so is what `SessionSettings` reads.
"""

import os
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes
from asgi_sessions.oidc import LogoutNotifier, LogoutReceiver, OIDCProvider, oidc_index, oidc_logout_routes
from tests import patience  # noqa: F401 - a slow machine is no database that does not answer

AUDIENCE = "reports"


def accounts() -> Starlette:
    sessions = SessionManager()
    receiver = LogoutReceiver(url=os.environ["RECEIVER_URL"], audience=AUDIENCE)
    LogoutNotifier(sessions, [receiver], issuer=os.environ["ACCOUNTS_ISSUER"])
    return _app(sessions, [])


def reports() -> Starlette:
    sessions = SessionManager()
    issuer = os.environ["ACCOUNTS_ISSUER"]
    provider = OIDCProvider(issuer=issuer, client_id=AUDIENCE, jwks_uri=f"{issuer}/auth/jwks.json")
    return _app(sessions, oidc_logout_routes(sessions, [provider]))


def _app(sessions: SessionManager, more: Any) -> Starlette:
    async def login(request: Request) -> JSONResponse:
        claims = await request.json()
        index = oidc_index(claims) if "iss" in claims else None
        session = await sessions.create_new_session(request, claims["sub"], index=index)
        return JSONResponse({"sid": session.session_handle})

    async def me(request: Request) -> JSONResponse:
        return JSONResponse({"user": (await get_session(request)).user_id})

    async def logout(request: Request) -> JSONResponse:
        await (await get_session(request)).revoke_session()
        return JSONResponse({})

    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text(str(session.user_id))
        await websocket.receive()

    routes = [
        Route("/login", login, methods=["POST"]),
        Route("/me", me),
        Route("/logout", logout, methods=["POST"]),
        WebSocketRoute("/socket", socket),
        Mount("/auth", routes=[*session_routes(), *more]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, manager=sessions)])
