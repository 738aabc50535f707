"""What the tests of the wire are built from: a cookie jar that they can look into, small applications."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from asgi_sessions import Session, SessionManager, SessionMiddleware, SessionSettings, get_session
from asgi_sessions.manager.connection import innermost
from tests.clocks import MovableClock

BASE_URL = "https://testserver"
ACCESS, REFRESH, MARKER = "__Host-sAccessToken", "__Host-sRefreshToken", "__Host-sRetryMarker"
CLEARED = {ACCESS: "", REFRESH: ""}
LIFETIME = 301.0
"""Seconds after which an access token has expired."""


class Jar:
    """Cookies by name. Keeps what was set, forgets what was cleared, can be copied as a thief would."""

    def __init__(self, cookies: Mapping[str, str] | None = None) -> None:
        self.cookies = dict(cookies or {})

    @property
    def header(self) -> dict[str, str]:
        """The request header."""
        text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"cookie": text} if text else {}

    def take(self, response: Any) -> "Jar":
        """Apply a response's cookies."""
        for name, value in cookies_set(response).items():
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return self

    def copy(self) -> "Jar":
        return Jar(self.cookies)

    def without(self, *names: str) -> "Jar":
        return Jar({name: value for name, value in self.cookies.items() if name not in names})


def set_cookie_headers(response: Any) -> list[str]:
    headers: list[str] = response.headers.get_list("set-cookie")
    return headers


def cookies_set(response: Any) -> dict[str, str]:
    """What a response does to cookies: the value by name, empty where it is cleared. No cookie twice."""
    return parsed_cookies(set_cookie_headers(response))


def parsed_cookies(headers: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in headers:
        name, _, value = header.partition(";")[0].partition("=")
        assert name not in found, f"{name} is set twice"
        assert (value == "") == ("Max-Age=0" in header), header
        found[name] = value
    return found


def new_manager(clock: MovableClock, **settings: Any) -> SessionManager:
    """A manager on an empty database in memory."""
    return SessionManager(SessionSettings(**{"database_url": "sqlite+aiosqlite://", **settings}), clock=clock)


def manager_of(connection: HTTPConnection) -> SessionManager:
    """The manager whose middleware is nearest."""
    manager = innermost(connection.scope).manager
    assert isinstance(manager, SessionManager)
    return manager


async def login(request: Request) -> Response:
    """Log in as ``?user=``, or as whom the body names."""
    body = await request.body()
    given = await request.json() if body else {"user_id": request.query_params.get("user", "alice")}
    session = await manager_of(request).create_new_session(request, **given)
    return JSONResponse({"handle": session.session_handle})


async def me(request: Request) -> Response:
    return JSONResponse(described(await get_session(request)))


async def logout(request: Request) -> Response:
    await (await get_session(request)).revoke_session()
    return JSONResponse({})


async def public(request: Request) -> Response:
    return JSONResponse({})


def described(session: Session[Any, Any]) -> dict[str, Any]:
    return {"user": session.user_id, "handle": session.session_handle, "payload": session.jwt_payload}


def application(
    sessions: SessionManager,
    *routes: BaseRoute,
    middleware: Sequence[Middleware] = (),
    **options: Any,
) -> Starlette:
    """A Starlette application with login, logout, "who am I", a page for everybody, and more routes."""
    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST", "GET"]),
            Route("/logout", logout, methods=["POST", "GET"]),
            Route("/me", me, methods=["GET", "POST"]),
            Route("/public", public, methods=["GET", "POST"]),
            *routes,
        ],
        middleware=middleware,
        **options,
    )
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app
