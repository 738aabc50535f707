from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables, sessions_metadata
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.conftest import ENGINES
from tests.servers import Server


class Prepared:
    """Databases that have their tables already, one for each engine: making one takes half a second."""

    def __init__(self, folder: Path) -> None:
        self._name = f"prepared_{folder.name}"
        self._urls = {"sqlite": f"sqlite+aiosqlite:///{folder / 'sessions.db'}"}

    def url(self, engine: str, request: pytest.FixtureRequest) -> str:
        if engine not in self._urls:
            server: Server = request.getfixturevalue(engine)
            server.sql(f"CREATE DATABASE {self._name}")
            self._urls[engine] = server.url(self._name)
        return self._urls[engine]

    @asynccontextmanager
    async def opened(self, engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
        database = await open_database(self.url(engine, request))
        await upgrade(database)
        yield database
        for table in sessions_metadata().sorted_tables:
            await database.run(delete(table))
        await database.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, prepared: Prepared) -> AsyncIterator[Database]:
    """An open database with empty tables, on each engine in turn."""
    async with prepared.opened(request.param, request) as database:
        yield database


@pytest.fixture
async def on_mariadb(request: pytest.FixtureRequest, prepared: Prepared) -> AsyncIterator[Database]:
    """An open MariaDB database with empty tables."""
    async with prepared.opened("mariadb", request) as database:
        yield database


@pytest.fixture
async def on_postgresql(request: pytest.FixtureRequest, prepared: Prepared) -> AsyncIterator[Database]:
    """An open PostgreSQL database with empty tables."""
    async with prepared.opened("postgresql", request) as database:
        yield database


@pytest.fixture
async def bare(database_url: str) -> AsyncIterator[Database]:
    """An open database without tables, on each engine in turn."""
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
def sessions(database: Database) -> SessionRepository:
    return SessionRepository(database, build_tables())


@pytest.fixture
def keys(database: Database) -> SigningKeyStore:
    return SigningKeyStore(database, build_tables())


@pytest.fixture
def leases(database: Database) -> LeaseStore:
    return LeaseStore(database, build_tables())
