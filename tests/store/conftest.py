from collections.abc import AsyncIterator

import pytest

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.signing_keys import SigningKeyStore


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
