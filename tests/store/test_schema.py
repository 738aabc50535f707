"""Tables and their statements: one for each prefix, whoever asks. An application's own metadata is its own."""

from typing import Any

import pytest

from asgi_sessions.store import schema
from asgi_sessions.store.engine import Database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables, of_tables, sessions_metadata
from asgi_sessions.store.signing_keys import SigningKeyStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import TombstoneStore

STATEMENTS = {
    SessionRepository: ("_ending", "_personal", "_read", "_change", "_rotation"),
    TombstoneStore: ("_page",),
    SigningKeyStore: ("_statements",),
    PayloadChangeStore: ("_statements",),
    LeaseStore: ("_statements",),
    StateStore: ("_statements",),
}


@pytest.mark.parametrize("store", STATEMENTS, ids=lambda store: store.__name__)
async def test_statements_are_built_once_for_each_prefix(store: Any, database: Database) -> None:
    first, again, other = (vars(store(database, build_tables(prefix))) for prefix in ("one_", "one_", "two_"))
    for name in STATEMENTS[store]:
        assert first[name] is again[name]
        assert first[name] is not other[name]


async def test_the_page_of_news_is_each_engines_own(on_mariadb: Database, on_sqlite: Database) -> None:
    pages = [TombstoneStore(database, build_tables())._page for database in (on_mariadb, on_sqlite)]
    assert pages[0] is not pages[1]


def test_a_process_keeps_so_many_prefixes() -> None:
    first = build_tables("first_")
    for number in range(schema.PREFIXES):
        build_tables(f"another_{number}_")
    assert build_tables("first_") is not first
    assert build_tables.cache_info().maxsize == schema.PREFIXES
    assert of_tables.cache_info().maxsize is not None


def test_an_applications_metadata_is_its_own() -> None:
    first, second = sessions_metadata(), sessions_metadata()
    name = "asgi_sessions_sessions"
    assert first is not second
    assert len({first.tables[name], second.tables[name], build_tables().sessions}) == 3
