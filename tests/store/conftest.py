from collections.abc import AsyncIterator

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


@pytest.fixture(scope="session")
def prepared() -> dict[str, str]:
    """The addresses of databases that have their tables, by engine: making one takes half a second."""
    return {}


@pytest.fixture(params=ENGINES)
async def database(
    request: pytest.FixtureRequest, prepared: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """An open database with empty tables, on each engine in turn."""
    if request.param not in prepared:
        if request.param == "sqlite":
            prepared["sqlite"] = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store') / 'sessions.db'}"
        else:
            server: Server = request.getfixturevalue(request.param)
            server.sql("CREATE DATABASE prepared")
            prepared[request.param] = server.url("prepared")
    database = await open_database(prepared[request.param])
    await upgrade(database)
    yield database
    for table in sessions_metadata().sorted_tables:
        await database.run(delete(table))
    await database.close()


@pytest.fixture
async def on_mariadb(mariadb_url: str) -> AsyncIterator[Database]:
    """An open MariaDB database with its tables, that nobody else uses."""
    database = await open_database(mariadb_url)
    await upgrade(database)
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
