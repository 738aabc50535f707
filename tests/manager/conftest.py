from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings
from tests.clocks import MovableClock
from tests.conftest import DATABASES
from tests.prepared_databases import PreparedDatabases

SECRET = "0123456789abcdef0123456789abcdef-first"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> Iterator[str]:
    """The address of a database without rows, on each engine in turn: faster than an empty one."""
    with prepared_databases.address(request.param, request) as url:
        yield url


NewManager = Callable[..., SessionManager]


def manager_builder(url: str, clock: MovableClock) -> NewManager:
    """Managers on one database, as workers are."""

    def build(**settings: Any) -> SessionManager:
        values = {"database_url": url, "secret_key": SECRET, "purge_interval": 0, **settings}
        return SessionManager(SessionSettings(**values), clock=clock)

    return build


@pytest.fixture
def new_manager(store_url: str, clock: MovableClock) -> NewManager:
    """Managers on one database, which has its tables and no rows."""
    return manager_builder(store_url, clock)


@pytest.fixture
def first_manager(database_url: str, clock: MovableClock) -> NewManager:
    """Managers on one database that is empty."""
    return manager_builder(database_url, clock)


@pytest.fixture
def sessions(new_manager: NewManager) -> SessionManager:
    """A manager with the default settings, on each engine in turn."""
    return new_manager()
