"""A statement that is cut off on SQLite costs its connection, and nothing of that is left: no thread and no lock."""

import asyncio
import itertools
from pathlib import Path

import pytest
from sqlalchemy import text

from asgi_sessions.store.engine import open_database
from tests.open_connections import have_ended, open_sqlite_connections, sqlite_threads
from tests.patience import PATIENCE
from tests.store.gate import Gate
from tests.suspensions import Suspensions

LONG_ENOUGH = 0.02
"""Seconds in which the cancellations should have arrived. Nothing fails where they have not."""


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_cut_off_at_any_await(tmp_path: Path, times: int) -> None:
    connections, threads, before = open_sqlite_connections(), sqlite_threads(), asyncio.all_tasks()
    tasks = []
    for place in itertools.count(1):
        database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
        gate = Gate(database)
        reading = Suspensions(database.run(text("SELECT gate()")), *range(place, place + times))
        task = asyncio.ensure_future(reading)
        await asyncio.wait([task], timeout=LONG_ENOUGH)
        gate.open()
        await asyncio.wait([task])
        await database.close()
        if reading.count < place:
            break
        assert task.cancelled()
        tasks.append(task)  # the traceback of its CancelledError keeps alive what it can
    assert place > 10
    await have_ended(sqlite_threads() - threads)
    if closing := asyncio.all_tasks() - before:
        _, pending = await asyncio.wait(closing, timeout=PATIENCE)
        assert not pending
    assert open_sqlite_connections() == connections
