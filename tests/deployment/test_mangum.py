"""AWS Lambda by Mangum, as docs/deployment.md shows it: one start per environment, and a logout felt in the other."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mangum import Mangum

from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings
from asgi_sessions.manager.runtime import Runtime
from tests.asgi.apps import ACCESS, CLEARED, REFRESH, application, parsed_cookies
from tests.deployment.matrix import PAGE
from tests.docs.pages import blocks_of
from tests.starts import noted_starts
from tests.uvicorn_server import SECRET

PATIENCE = 60.0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The one that Mangum finds, as Lambda's main thread has it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    return noted_starts(monkeypatch)


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", SECRET)


class Environment:
    """An execution environment that runs the page's code."""

    def __init__(self) -> None:
        (code,) = (block.code for block in blocks_of(PAGE) if "Mangum(app" in block.code)
        self._names: dict[str, Any] = {"__name__": "handler"}
        exec(code, self._names)
        self.sessions: SessionManager = self._names["sessions"]

    def invoke(self, method: str, path: str, cookies: dict[str, str]) -> tuple[int, dict[str, str]]:
        return invoke(self._names["handler"], method, path, cookies)


def invoke(handler: Mangum, method: str, path: str, cookies: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Status and cookies that are set, of one invocation by an HTTP API (payload format 2.0)."""
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "cookies": [f"{name}={value}" for name, value in cookies.items()],
        "headers": {"host": "app.example.com", "x-forwarded-proto": "https", "x-forwarded-port": "443"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default"},
        "isBase64Encoded": False,
    }
    context: Any = None
    answer = handler(event, context)
    return answer["statusCode"], parsed_cookies(answer.get("cookies", []))


def test_the_pages_handler_starts_once_and_hears_of_another_environments_logout(
    loop: asyncio.AbstractEventLoop, opened: list[Runtime]
) -> None:
    one, other = Environment(), Environment()
    try:
        assert one.invoke("GET", "/me", {})[0] == 401
        status, jar = one.invoke("POST", "/login", {})
        assert (status, set(jar)) == (200, {ACCESS, REFRESH})
        assert other.invoke("GET", "/me", jar)[0] == 200
        status, renewed = other.invoke("GET", "/me", {REFRESH: jar[REFRESH]})
        assert (status, set(renewed)) == (200, {ACCESS, REFRESH})
        assert one.invoke("POST", "/logout", renewed) == (200, CLEARED)
        assert one.invoke("GET", "/me", jar)[0] == 401
        deadline = time.monotonic() + PATIENCE
        while other.invoke("GET", "/me", jar)[0] != 401:
            assert time.monotonic() < deadline
        assert len(opened) == 2
    finally:
        for environment in (one, other):
            loop.run_until_complete(environment.sessions.stop())


def test_with_a_lifespan_it_starts_at_every_invocation(loop: asyncio.AbstractEventLoop, opened: list[Runtime]) -> None:
    sessions = SessionManager(SessionSettings())
    handler = Mangum(application(sessions), lifespan="auto")
    _, jar = invoke(handler, "POST", "/login", {})
    assert invoke(handler, "GET", "/me", jar)[0] == 200
    assert len(opened) == 2


def test_with_a_lifespan_and_a_start_by_first_use_the_lifespan_goes_first(
    loop: asyncio.AbstractEventLoop, opened: list[Runtime]
) -> None:
    sessions = SessionManager(SessionSettings())
    handler = Mangum(SessionMiddleware(application(sessions), sessions, start_on="first_use"), lifespan="on")
    _, jar = invoke(handler, "POST", "/login", {})
    assert invoke(handler, "GET", "/me", jar)[0] == 200
    assert len(opened) == 2
