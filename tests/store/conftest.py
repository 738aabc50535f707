from collections.abc import AsyncIterator, Iterator

import pytest

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.conftest import DATABASES, running
from tests.engines_used import require
from tests.prepared_databases import PreparedDatabases
from tests.store.odd_servers import OddMariaDB, OddPostgreSQL

CLUSTERED = ("galera_node", "oracle_mysql", "group_primary")
OTHER_VERSIONS = ("mariadb_11_8", "postgresql_16", "postgresql_17", "postgresql_18")


@pytest.fixture(params=[*DATABASES, "odd_mariadb", "odd_postgresql", *CLUSTERED, *OTHER_VERSIONS])
async def database(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> AsyncIterator[Database]:
    """An open database with empty tables, on each engine in turn, as installed and as the oddest hosters offer it.

    `make test-engines` adds clusters, and versions that the system does not have.
    """
    async with prepared_databases.opened(request.param, request) as database:
        yield database


@pytest.fixture(scope="session")
def odd_mariadb() -> Iterator[OddMariaDB]:
    require("mariadb")
    yield from running(OddMariaDB)


@pytest.fixture(scope="session")
def odd_postgresql() -> Iterator[OddPostgreSQL]:
    require("postgresql")
    yield from running(OddPostgreSQL)


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
