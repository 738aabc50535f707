"""The rows that tell workers of changed payloads: never of less than before, and gone when nobody needs them."""

import asyncio

import pytest
from sqlalchemy import select

from asgi_sessions.store import batches
from asgi_sessions.store.engine import Database
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import CLOCK, TombstoneStore
from tests.security.statements import counted
from tests.store.rows import NOW, session_row

TABLE = build_tables().payload_changes.c


@pytest.fixture
def changes(database: Database) -> PayloadChangeStore:
    return PayloadChangeStore(database, build_tables())


async def stored(database: Database) -> dict[str, tuple[int, int]]:
    rows = (await database.run(select(TABLE.handle, TABLE.changed_at, TABLE.payload_version))).rows
    return {handle: (int(at), int(version)) for handle, at, version in rows}


async def test_a_change_has_the_databases_time_and_its_version(changes: PayloadChangeStore, database: Database) -> None:
    tombstones = TombstoneStore(database, build_tables())
    before = await tombstones.now()
    await changes.note("h1", 7)
    ((at, version),) = (await stored(database)).values()
    assert before <= at <= await tombstones.now()
    assert version == 7


async def test_a_later_change_comes_up_anew_and_a_lower_version_takes_nothing_back(
    changes: PayloadChangeStore, database: Database
) -> None:
    await changes.note("h1", 7)
    first = (await stored(database))["h1"]
    await TombstoneStore(database, build_tables()).floor(0)
    await TombstoneStore(database, build_tables()).raise_clock(first[0] + 10_000)
    await changes.note("h1", 5)
    assert (await stored(database))["h1"] == (first[0] + 10_000, 7)
    await changes.note("h1", 9)
    assert (await stored(database))["h1"] == (first[0] + 10_000, 9)
    assert CLOCK == "revocation_clock"


async def test_workers_that_change_at_once_leave_the_highest_version(
    changes: PayloadChangeStore, database: Database
) -> None:
    await asyncio.gather(*(changes.note("h1", version) for version in range(1, 11)))
    assert (await stored(database))["h1"][1] == 10


async def test_what_was_changed_before_a_time_is_deleted_in_batches(
    changes: PayloadChangeStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 2)
    for number in range(5):
        await changes.note(f"h{number}", 1)
    newest = max(at for at, _ in (await stored(database)).values())
    await TombstoneStore(database, build_tables()).floor(0)
    await TombstoneStore(database, build_tables()).raise_clock(newest + 1)
    await changes.note("h3", 1)
    await changes.purge(newest + 1)
    assert set(await stored(database)) == {"h3"}


async def test_a_purge_without_changes_is_one_select(changes: PayloadChangeStore) -> None:
    with counted() as statements:
        await changes.purge(NOW)
    assert len(statements) == 1


async def test_nobodys_own_payload_replaces_one_that_somebody_else_has_changed_since(
    changes: PayloadChangeStore, database: Database
) -> None:
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    await sessions.insert(session_row("h2"))
    await changes.note("h1", 2)
    assert not await sessions.swap_own_payload("h1", "1", NOW, version=0, known=1)
    assert await sessions.swap_own_payload("h2", "1", NOW, version=0, known=1), "it was another session"
    assert await sessions.swap_own_payload("h1", "2", NOW, version=0, known=2), "its caller knows of the change"
    row = await sessions.find("h1")
    assert row is not None
    assert (row.jwt_payload, row.payload_version) == ("2", 1)
