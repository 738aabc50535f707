"""Whether a database was in use before this version came."""

from asgi_sessions import SessionSettings
from asgi_sessions.manager.installation import look_at_installation
from asgi_sessions.store.engine import Database
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import TombstoneStore

KEY = KeyRow("refresh", 0, "0123456789abcdef", "HS256", b"k" * 32, None, 0, 0)


def stores_of(database: Database) -> tuple[StateStore, SigningKeyStore, TombstoneStore]:
    tables = build_tables()
    return StateStore(database, tables), SigningKeyStore(database, tables), TombstoneStore(database, tables)


async def test_an_empty_database_is_new_and_stays_so(database: Database) -> None:
    stores = stores_of(database)
    assert (await look_at_installation(*stores, SessionSettings())).is_new
    await stores[1].add(KEY)
    found = await look_at_installation(*stores, SessionSettings())
    assert found.is_new
    assert found.legacy_until == 0


async def test_a_database_with_keys_is_older_from_its_first_start_on(database: Database) -> None:
    stores = stores_of(database)
    await stores[1].add(KEY)
    before = await stores[2].now()
    found = await look_at_installation(*stores, SessionSettings())
    assert before <= found.upgraded_at <= await stores[2].now()
    assert not found.is_new
    assert found.legacy_until == found.upgraded_at + 24 * 3600 * 1000
    assert await look_at_installation(*stores, SessionSettings()) == found
