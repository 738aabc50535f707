"""Cancellations by the hundred while statements wait in MySQL or MariaDB: the server runs them to their end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions.store import mysql_session, retries
from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.retries import Retries
from asgi_sessions.store.schema import build_tables
from tests.patience import PATIENCE
from tests.servers import MariaDB
from tests.store.rows import session_row

LONG_ENOUGH = 2 * retries.QUICK_SECONDS
WAITING = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE %'"


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """The slots that are to be given back later: after how many seconds, and by what."""
    put_off: list[tuple[float, Callable[[], None]]] = []
    loop = asyncio.get_running_loop()
    real = loop.call_later

    def later(seconds: float, callback: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(callback, "__func__", None) is Retries._release:
            put_off.append((seconds, callback))
            return None
        return real(seconds, callback, *arguments, **options)

    monkeypatch.setattr(loop, "call_later", later)
    return put_off


async def storm(sessions: SessionRepository, all_sent: Callable[[], Any]) -> None:
    """Twice as many changes as there are slots, and then nobody wants any of them."""
    tasks = [asyncio.ensure_future(sessions.revoke("h1", "logout", 0)) for _ in range(2 * POOL_SIZE)]
    await all_sent()
    await asyncio.sleep(LONG_ENOUGH)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def nothing() -> None:
    """There is nothing to wait for: no statement gets a slot."""


async def test_what_still_waits_in_the_server_takes_the_place_of_what_comes_next(
    on_mariadb: Database,
    mariadb: MariaDB,
    held: list[tuple[float, Callable[[], None]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (mysql_session, retries):
        monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 100)  # here and in the server: however slow the machine is
    patient = await open_database(on_mariadb.url)
    sessions = SessionRepository(patient, build_tables())
    await sessions.insert(session_row())
    async with on_mariadb.engine.connect() as watcher, on_mariadb.engine.connect() as locking:

        async def all_wait() -> None:
            async with asyncio.timeout(PATIENCE):
                while int((await watcher.execute(text(WAITING))).scalar_one()) < POOL_SIZE:
                    await asyncio.sleep(0)

        await locking.execute(text("SET autocommit = 0"))
        await locking.execute(text("SELECT * FROM asgi_sessions_sessions FOR UPDATE"))
        await storm(sessions, all_wait)
        assert len(held) == POOL_SIZE
        assert all(0 < seconds < 100 for seconds, _ in held)
        opened = mariadb.sql("SHOW GLOBAL STATUS LIKE 'Connections'")
        for _ in range(3):
            await storm(sessions, nothing)
        assert len(held) == POOL_SIZE
        again = mariadb.sql("SHOW GLOBAL STATUS LIKE 'Connections'")
        assert int(again[0][1]) - int(opened[0][1]) == 1, "that of the question itself"
        await locking.execute(text("ROLLBACK"))
        await locking.execute(text("SET autocommit = 1"))
    for _, release in held:
        release()
    row = await sessions.find("h1")
    assert row is not None
    assert row.revoked_at is None or row.revoked_reason == "logout"  # one of those cancelled may have been done
    await patient.close()


async def test_a_statement_that_is_quick_gives_its_slot_back_at_once(
    on_mariadb: Database, held: list[tuple[float, Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "QUICK_SECONDS", PATIENCE)
    for _ in range(3 * POOL_SIZE):
        task = asyncio.ensure_future(on_mariadb.run(text("SELECT SLEEP(0.01)")))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert held == []
    await on_mariadb.run(text("SELECT 1"))


async def test_a_statement_that_took_all_of_its_time_gives_its_slot_back_at_once(
    on_mariadb: Database, held: list[tuple[float, Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has ended it too; and it may be that this one is frozen and another one answers."""
    monkeypatch.setattr(retries, "LOCK_WAIT_SECONDS", LONG_ENOUGH)
    on_mariadb.statement_timeout = 2 * LONG_ENOUGH
    with pytest.raises(Exception, match="unavailable"):
        await on_mariadb.run(text("SELECT SLEEP(1)"))
    assert held == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_other_engines_are_told_that_a_statement_is_cancelled(
    database: Database, held: list[tuple[float, Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "QUICK_SECONDS", -1.0)
    for number in range(20):
        task = asyncio.ensure_future(database.run(text("SELECT 1")))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert held == []
