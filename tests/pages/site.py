"""An application with the pages, on Starlette or FastAPI, and browsers that visit it."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.pages import pages_router, pages_routes
from tests.asgi.apps import Jar, login, set_cookie_headers

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
DEVICES = "/account/devices"
EXAMPLE_TRANSLATIONS = Path(__file__).parent / "translations" / "rtl"
"""Arabic alone: part of the texts, for the other direction."""
SIGN_IN = "/sign-in"
Build = Callable[..., ASGIApp]


class From:
    """Lets a header say the client's address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if b"x-from" in headers:
            scope["client"] = (headers[b"x-from"].decode(), 5000)
        await self._app(scope, receive, send)


def fastapi_app(sessions: SessionManager, **options: Any) -> ASGIApp:
    app = FastAPI()
    app.include_router(pages_router(sessions, **options), prefix="/account")
    app.add_route("/login", login, methods=["POST"])
    app.add_route("/impersonate", impersonate(sessions), methods=["POST"])
    app.add_middleware(SessionMiddleware, manager=sessions)
    app.add_middleware(From)
    return app


def starlette_app(sessions: SessionManager, **options: Any) -> ASGIApp:
    routes = [
        Mount("/account", routes=pages_routes(sessions, **options)),
        Route("/login", login, methods=["POST"]),
        Route("/impersonate", impersonate(sessions), methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(SessionMiddleware, manager=sessions)
    app.add_middleware(From)
    return app


def impersonate(sessions: SessionManager) -> Any:
    async def act_as(request: Request) -> Response:
        actor = await get_session(request)
        session = await sessions.impersonate(request, request.query_params["user"], actor=actor)
        return JSONResponse({"handle": session.session_handle})

    return act_as


class Browser:
    """One browser with a user in it.

    Attributes:
        jar: Its cookies.
        handle: Of its session.
    """

    def __init__(self, client: TestClient, user: str, agent: str, address: str) -> None:
        self._client = client
        self._headers = {"user-agent": agent, "x-from": address}
        answer = self._send("POST", "/login", params={"user": user})
        assert answer.status_code == 200, answer.text
        self.jar = Jar().take(answer)
        self.handle = answer.json()["handle"]

    def get(self, path: str = DEVICES, **headers: str) -> httpx2.Response:
        return self._send("GET", path, headers=self._cookies | headers)

    def submit(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send the form of a page, with these fields filled in."""
        (form,) = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
        action, content = form
        given = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', content)
        sent = [(name, unescape(value)) for name, value in given] + list(fields.items())
        return self.post(str(httpx2.URL(str(page.url)).join(action).path), sent)

    def post(self, path: str, fields: list[tuple[str, str]], **headers: str) -> httpx2.Response:
        body = urlencode(fields)
        sent = {"content-type": "application/x-www-form-urlencoded", "origin": "https://testserver"} | headers
        return self._send("POST", path, headers=self._cookies | sent, content=body)

    def take(self, answer: httpx2.Response) -> None:
        """Apply an answer's cookies."""
        for header in set_cookie_headers(answer):
            name, _, value = header.partition(";")[0].partition("=")
            if "Max-Age=0" in header:
                self.jar.cookies.pop(name, None)
            else:
                self.jar.cookies[name] = value

    @property
    def is_signed_in(self) -> bool:
        return self.get().status_code == 200

    @property
    def _cookies(self) -> dict[str, str]:
        return self.jar.header

    def _send(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        self._client.cookies.clear()
        sent = self._headers | {"sec-fetch-site": "same-origin"} | (headers or {})
        answer: httpx2.Response = self._client.request(method, path, headers=sent, follow_redirects=False, **options)
        self._client.cookies.clear()
        if hasattr(self, "jar"):
            self.take(answer)
        return answer


def texts(page: httpx2.Response, tag: str) -> list[str]:
    """What stands in each element of this kind, without the marks in it."""
    found = re.findall(rf"<{tag}(?: [^>]*)?>(.*?)</{tag}>", page.text, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]*>", " ", text)).split()) for text in found]


def text_of(page: httpx2.Response) -> str:
    """All that a page says."""
    return texts(page, "body")[0]


def links(page: httpx2.Response, end: str) -> list[str]:
    """The links whose target has this in it."""
    return [unescape(link) for link in re.findall(r'href="([^"]*)"', page.text) if end in link]


def followed(answer: httpx2.Response) -> str:
    """The path and query to which an answer leads."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    goal = httpx2.URL(str(answer.url)).join(answer.headers["location"])
    return goal.path + (f"?{goal.query.decode()}" if goal.query else "")
