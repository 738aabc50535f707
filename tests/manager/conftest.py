import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings
from tests.clocks import MovableClock
from tests.conftest import DATABASES
from tests.servers import Server

SECRET = "0123456789abcdef0123456789abcdef-first"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of databases whose first user has made the tables, by engine."""
    return {"sqlite": f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('manager') / 'sessions.db'}"}


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, prepared: dict[str, str]) -> Iterator[str]:
    """The address of a database without rows, on each engine in turn: faster than an empty one."""
    engine: str = request.param
    if engine == "sqlite":
        yield prepared[engine]
        with closing(sqlite3.connect(prepared[engine].removeprefix("sqlite+aiosqlite:///"))) as connection:
            connection.executescript(_EMPTY)
        return
    server: Server = request.getfixturevalue(engine)
    if engine not in prepared:
        server.sql("CREATE DATABASE of_managers")
        prepared[engine] = server.url("of_managers")
    yield prepared[engine]
    server.sql(_EMPTY, "of_managers")


_TABLES = ("sessions", "signing_keys", "leases", "state", "payload_changes")
_EMPTY = "; ".join(f"DELETE FROM asgi_sessions_{table}" for table in _TABLES)

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
