import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.pages import device_label
from tests.asgi.apps import BASE_URL
from tests.clocks import MovableClock
from tests.conftest import empty_database
from tests.pages.site import FIREFOX, SIGN_IN, Browser, Build, fastapi_app, starlette_app

OpenSite = Callable[..., TestClient]
NewBrowser = Callable[..., Browser]


@pytest.fixture
def clock() -> MovableClock:
    """Shows the time of day: the database has a clock of its own, and the two are compared."""
    return MovableClock(time.time_ns() // 1_000_000)


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, on each of these engines in turn."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    else:
        yield from empty_database(request.getfixturevalue("mariadb"))


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def sessions(clock: MovableClock, settings: dict[str, Any]) -> SessionManager:
    """A manager on an empty database in memory, whose devices the pages name."""
    manager = SessionManager(SessionSettings(**{"database_url": "sqlite+aiosqlite://", **settings}), clock=clock)
    manager.label_devices(device_label)
    return manager


@pytest.fixture(params=[fastapi_app, starlette_app], ids=["fastapi", "starlette"])
def build(request: pytest.FixtureRequest) -> Build:
    found: Build = request.param
    return found


@pytest.fixture
def open_site(sessions: SessionManager) -> Iterator[OpenSite]:
    """Starts an application with these options of the pages."""
    with ExitStack() as stack:

        def start(build: Build = starlette_app, **options: Any) -> TestClient:
            app = build(sessions, **{"sign_in_url": SIGN_IN, **options})
            return stack.enter_context(TestClient(app, base_url=BASE_URL))

        yield start


@pytest.fixture
def site(open_site: OpenSite) -> TestClient:
    """The application without further options."""
    return open_site()


@pytest.fixture
def new_browser(site: TestClient) -> NewBrowser:
    """Logs a user in."""

    def start(user: str = "alice", agent: str = FIREFOX, address: str = "192.0.2.1") -> Browser:
        return Browser(site, user, agent, address)

    return start
