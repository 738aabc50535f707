"""Connections stay checked out while they work, and go back to the pool when they are old or anything failed."""

import asyncio
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import QueuePool

from asgi_sessions.store import kept_connections
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.kept_connections import DatabaseClosed, KeptConnections
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.servers import MariaDB
from tests.store.rows import HOUR, NOW, child_of, session_row

TOGETHER = 5


@pytest.fixture
def engine() -> Iterator[Engine]:
    """SQLite without asyncio: no greenlet is needed for it."""
    engine = create_engine(
        "sqlite://", poolclass=QueuePool, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
    )
    yield engine
    engine.dispose()


def nothing() -> None:
    """For those who do not look at the progress."""


def checked_out(engine: Engine) -> int:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def test_a_connection_that_worked_is_taken_again_and_the_last_one_first(engine: Engine) -> None:
    connections = KeptConnections(engine)
    first, second = connections.take(nothing), connections.take(nothing)
    connections.keep(second)
    connections.keep(first)
    assert connections.take(nothing) is first
    assert connections.take(nothing) is second
    connections.give_up(first)
    connections.give_up(second)


def test_each_step_of_opening_is_told_and_nothing_of_taking_again(engine: Engine) -> None:
    told: list[str] = []
    connections = KeptConnections(engine)
    event.listen(engine, "connect", lambda *_: told.append("driver connected"), insert=True)
    event.listen(engine, "connect", lambda *_: told.append("set up"))
    connections.keep(connections.take(lambda: told.append("progress")))
    assert told == ["driver connected", "progress", "set up", "progress"]
    connections.keep(connections.take(lambda: told.append("progress")))
    assert len(told) == 4
    with engine.connect():  # by nobody who waits
        assert told[4:] == ["driver connected", "set up"]
    connections.close()


def test_a_connection_that_was_kept_for_long_goes_back_to_the_pool(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_connections, "KEEP_SECONDS", 0)
    connections = KeptConnections(engine)
    first = connections.take(nothing)
    connections.keep(first)
    second = connections.take(nothing)
    assert first.closed
    assert second is not first
    assert checked_out(engine) == 1
    connections.give_up(second)


def test_after_a_failure_nothing_is_kept_that_was_there_before(engine: Engine) -> None:
    connections = KeptConnections(engine)
    failing, working, idle = (connections.take(nothing) for _ in range(3))
    connections.keep(idle)
    connections.give_up(failing)
    assert failing.closed
    assert idle.closed
    connections.keep(working)
    assert working.closed
    assert checked_out(engine) == 0
    connections.keep(later := connections.take(nothing))
    assert connections.take(nothing) is later
    connections.give_up(later)


def test_an_invalidated_connection_is_not_kept(engine: Engine) -> None:
    connections = KeptConnections(engine)
    connection = connections.take(nothing)
    connection.invalidate()
    connections.keep(connection)
    assert connection.closed
    assert checked_out(engine) == 0


def test_closing_waits_for_nobody_and_keeps_nothing_that_ends_later(engine: Engine) -> None:
    connections = KeptConnections(engine)
    idle, in_use = connections.take(nothing), connections.take(nothing)
    connections.keep(idle)
    connections.close()
    assert [idle.closed, in_use.closed] == [True, False]
    driver_connection = in_use.connection.driver_connection
    assert isinstance(driver_connection, sqlite3.Connection)
    connections.keep(in_use)
    assert [idle.closed, in_use.closed] == [True, True]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        driver_connection.execute("SELECT 1")
    assert checked_out(engine) == 0
    with pytest.raises(DatabaseClosed):
        connections.take(nothing)


async def test_operations_one_after_the_other_check_out_once(database: Database) -> None:
    database = await open_database(database.url)
    seen: list[object] = []
    event.listen(database.engine.sync_engine.pool, "checkout", lambda *arguments: seen.append(arguments[1]))
    for _ in range(3):
        await database.run(text("SELECT 1"))
    assert len(seen) == 1
    await database.close()


async def test_one_cut_connection_tells_of_all_others(on_mariadb: Database, mariadb: MariaDB) -> None:
    # A promotion is not repeated: each connection that is not known to be dead would be a 503.
    sessions = SessionRepository(on_mariadb, build_tables())
    rows = [session_row(f"h{number}") for number in range(TOGETHER)]
    for row in rows:
        await sessions.insert(row)
    await asyncio.gather(*(on_mariadb.run(text("SELECT SLEEP(0.05)")) for _ in rows))
    name = on_mariadb.url.database
    ids = mariadb.sql(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
    assert len(ids) >= TOGETHER
    mariadb.sql(";".join(f"KILL CONNECTION {number}" for (number,) in ids))
    assert await sessions.find("h0") is not None
    promoted = await asyncio.gather(
        *(
            sessions.promote(row.handle, child_of(row), now=NOW, idle_expires_at=NOW + HOUR, sibling_window=0)
            for row in rows
        )
    )
    assert promoted == [True] * TOGETHER
