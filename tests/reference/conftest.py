"""A manager, or a real uvicorn, for each profile on each engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.testing import MovableClock
from tests.conftest import DATABASES, empty_database
from tests.reference.databases import empty
from tests.reference.http_app import Servers
from tests.reference.profiles import PROFILES, Profile


@pytest.fixture(params=PROFILES, ids=lambda profile: str(profile.name))
def profile(request: pytest.FixtureRequest) -> Profile:
    """Each profile in turn."""
    given: Profile = request.param
    return given


@pytest.fixture
def clock() -> MovableClock:
    """The time of the managers that `worker` starts."""
    return MovableClock()


@pytest.fixture(scope="module", params=DATABASES)
def engine_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database on each engine in turn, one for all tests of a module."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('reference') / 'sessions.db'}"
    else:
        yield from empty_database(request.getfixturevalue(request.param))


@pytest.fixture
def database_url(engine_url: str) -> Iterator[str]:
    """The same database, emptied after each test: creating one costs more than most of these tests."""
    yield engine_url
    empty(engine_url)


@pytest.fixture
async def worker(profile: Profile, database_url: str, clock: MovableClock) -> AsyncIterator[Callable[..., Any]]:
    """Starts managers of the profile on one database, each like a worker of its own: ``await worker(**settings)``."""
    async with AsyncExitStack() as running:

        async def start(**settings: Any) -> SessionManager:
            manager = SessionManager(profile.settings(database_url, **settings), clock=clock)
            return await running.enter_async_context(manager)

        yield start


@pytest.fixture
async def sessions(worker: Callable[..., Any]) -> SessionManager:
    """A running manager of the profile."""
    manager: SessionManager = await worker()
    return manager


@pytest.fixture(scope="module")
def servers(engine_url: str) -> Iterator[Servers]:
    """Starts real servers: ``servers(profile, **settings)``. Equal ones are started once per module and engine."""
    running = Servers(engine_url)
    yield running
    running.close()
