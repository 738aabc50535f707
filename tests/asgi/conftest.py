import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager
from tests.asgi.apps import BASE_URL, new_manager
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
def open_client() -> Iterator[OpenClient]:
    """Starts applications, each with its lifespan, and ends them after the test."""
    with ExitStack() as stack:

        def start(app: Any, **options: Any) -> TestClient:
            return stack.enter_context(TestClient(app, **{"base_url": BASE_URL, **options}))

        yield start
