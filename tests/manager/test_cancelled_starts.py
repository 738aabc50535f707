"""A start that is cut off is cancelled and nothing else, leaves no connection open and no lock behind."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from sqlalchemy import make_url

from tests.manager.conftest import NewManager
from tests.open_connections import have_ended, open_sqlite_connections, sqlite_threads
from tests.patience import PATIENCE
from tests.servers import Server
from tests.suspensions import cut_off_at

COUNTS = {
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}'",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{}'",
}


@pytest.fixture(autouse=True)
async def all_is_closed(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fails the test where a connection is open at its end that was not at its beginning."""
    name = "store_url" if "store_url" in request.fixturenames else "database_url"
    url = make_url(request.getfixturevalue(name))
    engine = {"mysql": "mariadb", "postgresql": "postgresql"}.get(url.get_backend_name())
    server: Server | None = None if engine is None else request.getfixturevalue(engine)

    def at_the_server() -> int:
        return 0 if server is None else int(server.sql(COUNTS[url.get_backend_name()].format(url.database))[0][0])

    connections, threads, there = open_sqlite_connections(), sqlite_threads(), at_the_server()
    yield
    await have_ended(sqlite_threads() - threads)
    assert open_sqlite_connections() == connections
    async with asyncio.timeout(PATIENCE):  # the server takes a moment to notice
        while at_the_server() > there:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("once_more", [False, True], ids=["cancelled once", "cancelled twice"])
async def test_cut_off_at_any_await(new_manager: NewManager, store_url: str, *, once_more: bool) -> None:
    async with new_manager():
        pass
    await _cut_off(new_manager, store_url, once_more=once_more)


@pytest.mark.parametrize("once_more", [False, True], ids=["cancelled once", "cancelled twice"])
async def test_cut_off_while_it_makes_the_tables(
    first_manager: NewManager, database_url: str, *, once_more: bool
) -> None:
    await _cut_off(first_manager, database_url, once_more=once_more, steps=2 if "sqlite" in database_url else 8)


async def _cut_off(new_manager: NewManager, url: str, *, once_more: bool, steps: int = 1) -> None:
    tasks = []
    for place in itertools.count(1, steps):
        manager = new_manager()
        task = await cut_off_at(place, manager.start, once_more=once_more)
        if task is None:
            break
        assert task.cancelled(), place
        tasks.append(task)  # the traceback of its CancelledError keeps alive what it can
        if url.startswith("sqlite"):
            await have_ended(sqlite_threads())
            _is_unlocked(url.removeprefix("sqlite+aiosqlite:///"))
    await manager.stop()
    assert place > 15


def _is_unlocked(file: str) -> None:
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
