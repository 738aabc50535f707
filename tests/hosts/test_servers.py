"""An address of two real servers: which one is asked when the other is gone, frozen or read-only.

They share no data: what matters here is who answers. tests/clusters has servers that do.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import select

from asgi_sessions import StoreUnavailable
from asgi_sessions.store.database_clock import database_node
from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TOP, TombstoneStore
from tests.clusters.workers import address
from tests.conftest import running
from tests.engines_used import require
from tests.patience import PATIENCE
from tests.servers import MariaDB, PostgreSQL, Server

NODE = select(database_node())
DATABASE = "shop"


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    require(request.param)
    kind: type[Server] = {"mariadb": MariaDB, "postgresql": PostgreSQL}[request.param]
    for first in running(kind):
        for second in running(kind):
            for server in (first, second):
                server.create(DATABASE)
            yield first, second


@pytest.fixture
def two(pair: tuple[Server, Server]) -> Iterator[tuple[Server, Server]]:
    yield pair
    for server in pair:
        server.resume()
        if not server.is_running:
            server.start()
        if isinstance(server, MariaDB):
            server.sql("SET GLOBAL read_only = OFF")


only_mariadb = pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
"""PostgreSQL becomes read-only as a standby alone: tests/clusters."""


@pytest.fixture
async def database(two: tuple[Server, Server]) -> AsyncIterator[Database]:
    opened = await open_database(address(two, DATABASE))
    yield opened
    await opened.close()


async def asked(database: Database, *, together: int = 1) -> set[int]:
    """The ports of the servers that answer so many statements at the same time."""
    outcomes = await asyncio.gather(*(database.run(NODE) for _ in range(together)))
    return {int(outcome.rows[0][0].rpartition(":")[2]) for outcome in outcomes}


async def split(database: Database, two: tuple[Server, Server]) -> tuple[Server, Server]:
    """The server that the worker is with, and the other one."""
    (port,) = await asked(database, together=2 * POOL_SIZE)
    first, second = two
    return (first, second) if first.port == port else (second, first)


async def test_a_worker_stays_with_one_server_and_goes_to_the_other_when_it_is_gone(
    database: Database, two: tuple[Server, Server]
) -> None:
    mine, other = await split(database, two)
    mine.kill()
    async with asyncio.timeout(PATIENCE):  # PostgreSQL's children outlive it by a moment, and answer
        while await asked(database, together=2 * POOL_SIZE) != {other.port}:
            pass
    mine.start()
    assert await asked(database, together=2 * POOL_SIZE) == {other.port}
    other.kill()
    async with asyncio.timeout(PATIENCE):
        while await asked(database) != {mine.port}:
            pass


async def test_a_frozen_server_costs_the_time_of_one_statement(database: Database, two: tuple[Server, Server]) -> None:
    """Not of one for each connection that is open."""
    mine, other = await split(database, two)
    patient = database.statement_timeout
    mine.pause()
    database.statement_timeout = 0.2
    with pytest.raises(StoreUnavailable):
        await database.run(NODE)
    database.statement_timeout = patient
    assert await asked(database, together=2 * POOL_SIZE) == {other.port}


async def test_where_no_server_is_there_all_are_named(database: Database, two: tuple[Server, Server]) -> None:
    for server in two:
        server.stop()
    with pytest.raises(StoreUnavailable) as caught:
        await database.run(NODE)
    shown = ",".join(f"127.0.0.1:{server.port}" for server in two)
    assert f"nothing listens on {shown}" in str(database.told(caught.value))
    two[1].start()
    assert await asked(database) == {two[1].port}


@only_mariadb
async def test_a_read_only_server_is_passed_over(two: tuple[Server, Server]) -> None:
    first, second = two
    first.sql("SET GLOBAL read_only = ON")
    for _ in range(8):  # each worker begins at another one
        database = await open_database(address(two, DATABASE))
        assert await asked(database) == {second.port}
        await database.close()


@only_mariadb
async def test_where_all_are_read_only_that_is_what_is_said(two: tuple[Server, Server]) -> None:
    for server in two:
        server.sql("SET GLOBAL read_only = ON")
    database = await open_database(address(two, DATABASE))
    with pytest.raises(StoreUnavailable) as caught:
        await database.run(NODE)
    assert "is read-only" in str(database.told(caught.value))
    await database.close()


@only_mariadb
async def test_news_of_a_server_that_has_turned_read_only_counts_for_nothing(
    database: Database, two: tuple[Server, Server]
) -> None:
    """It was demoted: what it shows is what was true then. Its administrator may still write there."""
    mine, other = await split(database, two)
    for server in two:
        alone = await open_database(server.url(DATABASE))
        await upgrade(alone)
        await alone.close()
    news = TombstoneStore(database, build_tables())
    await news.page(TOP, 0)
    mine.sql("SET GLOBAL read_only = ON")
    with pytest.raises(StoreUnavailable) as caught:
        await news.page(TOP, 0)
    assert "is read-only" in str(database.told(caught.value))
    await news.page(TOP, 0)
    assert await asked(database, together=2 * POOL_SIZE) == {other.port}


@only_mariadb
async def test_a_single_server_that_has_turned_read_only_gives_no_news_either(
    two: tuple[Server, Server],
) -> None:
    server, _ = two
    database = await open_database(server.url(DATABASE))
    await upgrade(database)
    news = TombstoneStore(database, build_tables())
    await news.page(TOP, 0)
    server.sql("SET GLOBAL read_only = ON")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await news.page(TOP, 0)
    server.sql("SET GLOBAL read_only = OFF")
    await news.page(TOP, 0)
    await database.close()


@only_mariadb
async def test_a_read_only_server_that_cuts_off_its_answers_is_passed_over(two: tuple[Server, Server]) -> None:
    first, second = two
    first.sql("SET GLOBAL read_only = ON; SET GLOBAL sql_select_limit = 0")
    try:
        for _ in range(8):
            database = await open_database(address(two, DATABASE))
            assert await asked(database) == {second.port}
            await database.close()
    finally:
        first.sql("SET GLOBAL sql_select_limit = DEFAULT")
