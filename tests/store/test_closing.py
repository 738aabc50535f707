"""A closed database has no connection, whatever was going on when it was closed."""

import asyncio
import itertools

import pytest
from sqlalchemy import text

from asgi_sessions import ConfigurationError, StoreUnavailable
from asgi_sessions.store import engine
from asgi_sessions.store.engine import Database, open_database
from tests.open_connections import have_ended, open_sqlite_connections, sqlite_threads
from tests.patience import PATIENCE
from tests.servers import MariaDB
from tests.store.gate import Gate
from tests.suspensions import cut_off_at

TOGETHER = 5


async def test_a_closed_database_has_no_connections_left(on_mariadb: Database, mariadb: MariaDB) -> None:
    database = await open_database(on_mariadb.url.update_query_dict({"program_name": "closing"}))
    ids = [
        outcome.rows[0][0]
        for outcome in await asyncio.gather(
            *(database.run(text("SELECT CONNECTION_ID(), SLEEP(0.05)")) for _ in range(TOGETHER))
        )
    ]
    assert len(set(ids)) == TOGETHER
    await database.close()
    listed = ", ".join(map(str, ids))
    left = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id IN ({listed})"
    async with asyncio.timeout(PATIENCE):  # the server takes a moment to notice
        while mariadb.sql(left)[0][0] not in (0, "0"):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "a file"])
async def test_what_is_in_use_is_closed_when_its_statement_ends(url: str, on_sqlite: Database) -> None:
    connections, threads = open_sqlite_connections(), sqlite_threads()
    database = await open_database(on_sqlite.url if url == "a file" else url)
    gate = Gate(database)
    reading = asyncio.ensure_future(database.run(text("SELECT gate()")))
    await gate.reached()
    await database.close()
    assert not reading.done()
    gate.open()
    assert (await reading).rows == [(1,)]
    await have_ended(sqlite_threads() - threads)
    assert open_sqlite_connections() == connections


async def test_after_it_nothing_is_run(database: Database) -> None:
    database = await open_database(database.url)
    await database.close()
    with pytest.raises(StoreUnavailable) as caught:
        await database.run(text("SELECT 1"))
    assert "DatabaseClosed" in str(caught.value.__cause__)
    await database.close()  # once more is harmless


@pytest.mark.parametrize("once_more", [False, True], ids=["cancelled once", "cancelled twice"])
async def test_a_close_that_is_cancelled_closes(on_sqlite: Database, *, once_more: bool) -> None:
    connections, threads = open_sqlite_connections(), sqlite_threads()
    for place in itertools.count(1):
        database = await open_database("sqlite+aiosqlite://" if place % 2 else on_sqlite.url)
        await asyncio.gather(*(database.run(text("SELECT 1")) for _ in range(TOGETHER)))
        task = await cut_off_at(place, database.close, once_more=once_more)
        await have_ended(sqlite_threads() - threads)
        assert open_sqlite_connections() == connections
        if task is None:
            break
        assert task.cancelled()
    assert place > 1


async def test_what_cannot_be_opened_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_driver(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("aiosqlite")

    monkeypatch.setattr(engine, "create_async_engine", without_driver)
    connections = open_sqlite_connections()
    with pytest.raises(ConfigurationError) as caught:
        await open_database("sqlite+aiosqlite://")
    assert open_sqlite_connections() == connections
    assert "sqlite" in str(caught.value)
