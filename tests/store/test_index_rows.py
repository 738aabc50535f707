"""Sessions are found by their entries: all that live, none that do not, and no entry outlives its session for long."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from asgi_sessions.protocol.session_index import Entry, entry
from asgi_sessions.store import batches, index_rows
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.index_rows import LOGIN_MS, SessionIndexStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.session_row import SessionRow
from tests.store.rows import ALICE, BOB, HOUR, NOW, session_row

ACME, GLOBEX, RED = entry("org", "acme"), entry("org", "globex"), entry("team", "red")
TABLE = build_tables().session_index.c


@pytest.fixture
def index(database: Database) -> SessionIndexStore:
    return SessionIndexStore(database, build_tables())


async def stored(database: Database) -> set[tuple[str, str]]:
    return {(handle, name) for handle, name in (await database.run(select(TABLE.handle, TABLE.name))).rows}


async def begun(
    sessions: SessionRepository, index: SessionIndexStore, row: SessionRow, entries: Sequence[Entry]
) -> SessionRow:
    await index.insert(row.handle, row.created_at, entries)
    await sessions.insert(row)
    return row


async def found(index: SessionIndexStore, by: Entry) -> list[str]:
    return [handle for _, handle in await index.places_of(by, NOW, limit=100)]


async def test_live_sessions_are_found_newest_first_and_no_others(
    sessions: SessionRepository, index: SessionIndexStore
) -> None:
    await begun(sessions, index, session_row("h1", created_at=NOW - 3), [ACME, RED])
    await begun(sessions, index, session_row("h2", created_at=NOW - 1), [ACME, GLOBEX])
    await begun(sessions, index, session_row("h3", user_id=BOB, created_at=NOW - 2), [ACME])
    await begun(sessions, index, session_row("over", revoked_at=NOW), [ACME])
    await begun(sessions, index, session_row("idle", idle_expires_at=NOW), [ACME])
    await sessions.insert(session_row("h4"))
    await index.insert("h5", NOW, [ACME])  # a login that has not come so far
    assert await found(index, ACME) == ["h2", "h3", "h1"]
    assert await found(index, GLOBEX) == ["h2"]
    assert await found(index, RED) == ["h1"]
    assert await found(index, entry("team", "acme")) == []
    rows = await index.list_of(ACME, NOW, limit=10)
    assert [(row.handle, row.user_id, row.cur) for row in rows] == [
        (handle, user, session_row(handle).cur) for handle, user in (("h2", ALICE), ("h3", BOB), ("h1", ALICE))
    ]


async def test_pages_follow_each_other_where_sessions_began_at_once(
    sessions: SessionRepository, index: SessionIndexStore
) -> None:
    for number in range(7):
        await begun(sessions, index, session_row(f"h{number}", created_at=NOW + number // 3), [ACME])
    pages: list[str] = []
    place = index_rows.TOP
    while page := await index.places_of(ACME, NOW, limit=2, after=place):
        assert [row.handle for row in await index.list_of(ACME, NOW, limit=2, after=place)] == [h for _, h in page]
        pages += [handle for _, handle in page]
        place = page[-1]
    assert pages == [f"h{number}" for number in reversed(range(7))]


async def test_an_entry_is_written_once(index: SessionIndexStore) -> None:
    await index.insert("h1", NOW, [ACME, RED])
    with pytest.raises(DuplicateKey):
        await index.insert("h1", NOW, [GLOBEX, RED])
    assert await index.entries_of("h1") == [ACME, RED]
    await index.add("h1", NOW, [RED, GLOBEX])
    assert set(await index.entries_of("h1")) == {ACME, GLOBEX, RED}
    await index.remove("h1", NOW, [ACME, RED, entry("never", "there")])
    assert await index.entries_of("h1") == [GLOBEX]
    await index.insert("h2", NOW, [])
    assert await index.entries_of("h2") == []


async def test_of_two_who_replace_entries_at_once_none_deletes_what_the_other_wrote(index: SessionIndexStore) -> None:
    await index.insert("h1", NOW, [ACME])
    before = await index.entries_of("h1")

    async def replace(by: Entry) -> None:
        await index.add("h1", NOW, [by])
        await index.remove("h1", NOW, before)

    await asyncio.gather(*(replace(entry("org", f"o{number}")) for number in range(8)))
    assert set(await index.entries_of("h1")) == {entry("org", f"o{number}") for number in range(8)}


async def test_the_purge_takes_entries_with_their_sessions(
    sessions: SessionRepository, index: SessionIndexStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 2)
    for number in range(5):
        await begun(sessions, index, session_row(f"idle{number}", idle_expires_at=NOW), [ACME, RED])
    await begun(sessions, index, session_row("old", revoked_at=NOW - HOUR - 1), [ACME])
    await begun(sessions, index, session_row("tombstone", revoked_at=NOW), [ACME])
    await begun(sessions, index, session_row("live"), [ACME, RED])
    assert await sessions.purge(NOW, NOW - HOUR) == 6
    assert await stored(database) == {("tombstone", "org"), ("live", "org"), ("live", "team")}


async def test_an_entry_stays_as_long_as_its_session_does(
    sessions: SessionRepository, index: SessionIndexStore, database: Database
) -> None:
    """A session that another worker refreshes while it is about to be purged is found as before."""
    await begun(sessions, index, session_row("h1"), [ACME])
    await database.run(sessions._ending.unindex, {"handles": ["h1"]})
    assert await stored(database) == {("h1", "org")}


async def test_what_has_no_session_goes_an_hour_after_its_login(
    sessions: SessionRepository, index: SessionIndexStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await index.delete_left_over(NOW) == 0
    monkeypatch.setattr(index_rows, "WALK_BATCH", 2)
    handles = [f"{number:x}" * 32 for number in range(1, 11)]  # the first two rows reach a fifteenth of the way
    for handle in handles[:8]:
        await index.insert(handle, NOW - LOGIN_MS - 1, [ACME, RED])
    await index.insert(handles[8], NOW - LOGIN_MS, [ACME])
    await begun(sessions, index, session_row(handles[9], created_at=NOW - LOGIN_MS - 1), [ACME])
    await begun(sessions, index, session_row("0a" * 16, created_at=NOW - LOGIN_MS - 1, revoked_at=NOW), [RED])
    assert await index.delete_left_over(NOW) == 16
    assert await stored(database) == {(handles[8], "org"), (handles[9], "org"), ("0a" * 16, "team")}


async def test_an_erased_session_has_no_entries_and_a_live_one_keeps_its(
    sessions: SessionRepository, index: SessionIndexStore, database: Database
) -> None:
    await begun(sessions, index, session_row("over", revoked_at=NOW), [ACME])
    await begun(sessions, index, session_row("live"), [ACME])
    await begun(sessions, index, session_row("bobs", user_id=BOB, revoked_at=NOW), [ACME])
    exported = [row async for row in sessions.export(ALICE, acting=False)]
    assert {row["handle"]: row["index"] for row in exported} == {"over": [ACME], "live": [ACME]}
    assert await sessions.erase(ALICE, ["over", "live", "bobs"], NOW) == 1
    assert await stored(database) == {("live", "org"), ("bobs", "org")}
