import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager
from asgi_sessions.protocol import access_token
from asgi_sessions.protocol.access_token import AccessToken
from tests.asgi.apps import BASE_URL, new_manager
from tests.asgi.form_apps import in_fastapi, in_starlette
from tests.clocks import MovableClock

OpenClient = Callable[..., TestClient]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def at_the_time_of_day(clock: MovableClock) -> None:
    """The clock shows it: the database has one of its own, and the two are compared."""
    clock.now = time.time_ns() // 1_000_000


@pytest.fixture
def sessions(clock: MovableClock) -> SessionManager:
    """A manager with the default settings."""
    return new_manager(clock)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every token whose signature was looked at."""
    seen: list[object] = []
    verify = access_token.verify

    def noted(text: object, *arguments: Any, **options: Any) -> AccessToken:
        seen.append(text)
        return verify(text, *arguments, **options)

    monkeypatch.setattr(access_token, "verify", noted)
    return seen


@pytest.fixture
def open_client() -> Iterator[OpenClient]:
    """Starts applications, each with its lifespan, and ends them after the test."""
    with ExitStack() as stack:

        def start(app: Any, **options: Any) -> TestClient:
            return stack.enter_context(TestClient(app, **{"base_url": BASE_URL, **options}))

        yield start


@pytest.fixture(params=[in_starlette, in_fastapi], ids=["starlette", "fastapi"])
def form_client(request: pytest.FixtureRequest, sessions: SessionManager, open_client: OpenClient) -> TestClient:
    """Of each framework; alice is logged in."""
    client = open_client(request.param(sessions))
    assert client.post("/login").status_code == 200
    return client


@pytest.fixture
def fastapi_form_client(sessions: SessionManager, open_client: OpenClient) -> TestClient:
    client = open_client(in_fastapi(sessions))
    assert client.post("/login").status_code == 200
    return client


@pytest.fixture
def starlette_form_client(sessions: SessionManager, open_client: OpenClient) -> TestClient:
    client = open_client(in_starlette(sessions))
    assert client.post("/login").status_code == 200
    return client
