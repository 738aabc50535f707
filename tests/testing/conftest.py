from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings
from asgi_sessions.fastapi import CurrentSession, session_router
from asgi_sessions.testing import MovableClock

NewManager = Callable[..., SessionManager]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def new_manager(clock: MovableClock) -> NewManager:
    """Makes managers that differ from the default in the given settings."""

    def make(**settings: Any) -> SessionManager:
        return SessionManager(SessionSettings(**{"database_url": "sqlite+aiosqlite://", **settings}), clock=clock)

    return make


@pytest.fixture
def sessions(new_manager: NewManager) -> SessionManager:
    return new_manager()


@pytest.fixture
def app(sessions: SessionManager) -> FastAPI:
    return application(sessions)


def application(sessions: SessionManager) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, manager=sessions)
    app.include_router(session_router(), prefix="/auth")

    @app.get("/me")
    async def me(session: CurrentSession) -> dict[str, Any]:
        return {"user": session.user_id, "payload": session.jwt_payload}

    @app.post("/logout")
    async def logout(session: CurrentSession) -> None:
        await session.revoke_session()

    @app.post("/payload")
    async def change_payload(session: CurrentSession, payload: dict[str, Any]) -> None:
        await session.update_jwt_payload(payload)

    @app.put("/info")
    async def put_info(session: CurrentSession, info: dict[str, Any]) -> None:
        await session.update_session_info(info)

    @app.get("/info")
    async def get_info(session: CurrentSession) -> Any:
        return await session.get_session_info()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: CurrentSession) -> None:
        await websocket.accept()
        await websocket.send_json({"user": session.user_id})
        await websocket.close()

    return app
