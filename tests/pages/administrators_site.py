"""An application with the administrators' pages, on Starlette or FastAPI, and whoever visits it."""

from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from asgi_sessions import SessionManager, SessionMiddleware, require_session
from asgi_sessions.pages import administrators_router, administrators_routes
from asgi_sessions.protocol.session_handle import form_tag
from tests.asgi.apps import Jar, login
from tests.pages.site import FIREFOX, Browser, From, impersonate

START = "/back/office/sessions"
FOUND = f"{START}/found"
ADMINISTRATORS = require_session(claims={"admin": True}, max_auth_age=900)


def fastapi_app(sessions: SessionManager, **options: Any) -> ASGIApp:
    app = FastAPI()
    pages = administrators_router(sessions, **{"permission": ADMINISTRATORS, **options})
    app.include_router(pages, prefix="/back/office")
    app.add_route("/login", login, methods=["POST"])
    app.add_route("/impersonate", impersonate(sessions), methods=["POST"])
    return _sessions(app, sessions)


def starlette_app(sessions: SessionManager, **options: Any) -> ASGIApp:
    pages = administrators_routes(sessions, **{"permission": ADMINISTRATORS, **options})
    routes = [
        Mount("/back/office", routes=pages),
        Route("/login", login, methods=["POST"]),
        Route("/impersonate", impersonate(sessions), methods=["POST"]),
    ]
    return _sessions(Starlette(routes=routes), sessions)


def _sessions(app: Starlette, sessions: SessionManager) -> ASGIApp:
    app.add_middleware(SessionMiddleware, manager=sessions)
    app.add_middleware(From)
    return app


class Visitor(Browser):
    """One browser, with somebody in it of any type of user id: by default with an administrator."""

    def __init__(self, client: TestClient, user: Any = "root", *, agent: str = FIREFOX, **given: Any) -> None:
        self._client = client
        self._headers = {"user-agent": agent, "x-from": "203.0.113.1"}
        login = {"user_id": user, "jwt_payload": {"admin": user == "root"}, **given}
        answer = self._send("POST", "/login", json=login)
        assert answer.status_code == 200, answer.text
        self.jar = Jar().take(answer)
        self.handle = answer.json()["handle"]

    @property
    def form_tag(self) -> tuple[str, str]:
        """The field by which a form of this browser's session names it."""
        return "form_tag", form_tag(self.handle)
