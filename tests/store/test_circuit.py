"""A server that does not answer is asked now and then, and not by each request."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store.circuit import FAILURES, PAUSE_SECONDS, Circuit
from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from asgi_sessions.store.failures import DatabaseFailure, StatementInterrupted
from tests.clocks import Seconds
from tests.patience import PATIENCE
from tests.servers import MariaDB, PostgreSQL

SHORTEST, LONGEST = PAUSE_SECONDS
DOWN = DatabaseFailure("down", 7, "nobody is there")
ONE = text("SELECT 1")
NO_SUCH_TABLE = text("SELECT * FROM no_such_table")
QUICK = 0.2
"""A statement timeout for servers that will not answer."""


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def circuit(clock: Seconds) -> Circuit:
    return Circuit(clock)


def with_clock(database: Database, clock: Seconds) -> Database:
    """The same with a circuit whose pauses end when a test wants it."""
    database._circuit._clock = clock
    return database


async def refused(database: Database) -> DatabaseFailure:
    with pytest.raises(StoreUnavailable) as caught:
        await database.run(ONE)
    assert isinstance(caught.value.__cause__, DatabaseFailure)
    return caught.value.__cause__


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        circuit.failed(DOWN)


def test_it_opens_after_so_many_failures_in_a_row(circuit: Circuit) -> None:
    fail(circuit, FAILURES - 1)
    circuit.answered()
    fail(circuit, FAILURES - 1)
    assert [circuit.refuses() for _ in range(100)] == [None] * 100
    fail(circuit, 1)
    assert circuit.refuses() is None, "another server may answer: one is asked at once"
    assert circuit.refuses() is not None


def test_of_an_open_one_one_attempt_in_each_pause_is_made(circuit: Circuit, clock: Seconds) -> None:
    fail(circuit, FAILURES)
    assert circuit.refuses() is None
    for _ in range(50):
        clock.now += SHORTEST * 0.99
        assert circuit.refuses() is not None
        clock.now += LONGEST - SHORTEST * 0.99
        assert circuit.refuses() is None
        assert circuit.refuses() is not None
        fail(circuit, 1)


def test_any_answer_closes_it(circuit: Circuit) -> None:
    fail(circuit, 3 * FAILURES)
    circuit.answered()
    assert [circuit.refuses() for _ in range(100)] == [None] * 100


def test_the_cause_is_the_last_failures_and_an_error_of_its_own_each_time(circuit: Circuit) -> None:
    fail(circuit, FAILURES - 1)
    circuit.failed(DatabaseFailure("timeout", phrase="it does not answer"))
    circuit.refuses()
    first, second = circuit.refuses(), circuit.refuses()
    assert first is not None
    assert str(first) == str(second) == "it does not answer (timeout)"
    assert first is not second


def test_workers_do_not_ask_in_step() -> None:
    moments = set()
    for _ in range(20):
        clock = Seconds()
        circuit = Circuit(clock)
        fail(circuit, FAILURES)
        circuit.refuses()
        moments.add(circuit._next - clock.now)
    assert len(moments) > 10
    assert all(SHORTEST <= moment <= LONGEST for moment in moments)


@pytest.mark.parametrize("driver", ["mysql+asyncmy", "postgresql+asyncpg"])
async def test_a_server_that_refuses_is_not_asked_by_each_request(driver: str, clock: Seconds) -> None:
    connections = 0

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"{driver}://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/shop"
        if driver.startswith("postgresql"):
            url += "?ssl=disable"  # it tries each connection without TLS too
        database = with_clock(await open_database(url), clock)
        causes = [str(await refused(database)) for _ in range(100)]
        assert connections == FAILURES + 1
        assert len(set(causes)) == 1, "who reads the log sees what is wrong, and not that it was not asked"
        clock.now += LONGEST
        await asyncio.gather(*(refused(database) for _ in range(100)))
        assert connections == FAILURES + 2
        await database.close()


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    found: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def opened(server: MariaDB | PostgreSQL, clock: Seconds) -> AsyncIterator[Database]:
    name = "postgres" if isinstance(server, PostgreSQL) else "mysql"
    database = with_clock(await open_database(server.url(name)), clock)
    yield database
    server.resume()
    if not server.is_running:
        server.start()
    await database.close()


async def test_a_killed_server_serves_again_with_the_first_attempt_after_a_pause(
    server: MariaDB | PostgreSQL, opened: Database, clock: Seconds
) -> None:
    await opened.run(ONE)
    server.kill()
    for _ in range(2 * FAILURES):
        await refused(opened)
    server.start()
    await refused(opened)
    clock.now += LONGEST
    assert (await opened.run(ONE)).rows == [(1,)]
    outcomes = await asyncio.gather(*(opened.run(ONE) for _ in range(3 * POOL_SIZE)))
    assert [outcome.rows for outcome in outcomes] == [[(1,)]] * (3 * POOL_SIZE)


async def test_nobody_waits_for_a_frozen_server_but_one_in_each_pause(
    server: MariaDB | PostgreSQL, opened: Database, clock: Seconds
) -> None:
    await opened.run(ONE)
    server.pause()
    opened.statement_timeout = QUICK
    for _ in range(FAILURES + 1):
        await refused(opened)
    opened.statement_timeout = PATIENCE
    async with asyncio.timeout(PATIENCE / 2):
        await asyncio.gather(*(refused(opened) for _ in range(100)))
    server.resume()
    clock.now += LONGEST
    assert (await opened.run(ONE)).rows == [(1,)]


async def test_one_slow_statement_opens_nothing_while_others_are_served(
    server: MariaDB | PostgreSQL, opened: Database
) -> None:
    slow = text("SELECT pg_sleep(60)" if isinstance(server, PostgreSQL) else "SELECT SLEEP(60)")
    patient = opened.statement_timeout
    for _ in range(2 * FAILURES):
        opened.statement_timeout = 0.05
        with pytest.raises(StoreUnavailable):
            await opened.run(slow)
        opened.statement_timeout = patient
        await opened.run(ONE)


async def test_an_error_of_the_servers_is_an_answer(opened: Database) -> None:
    fail(opened._circuit, FAILURES)
    for _ in range(3 * FAILURES):
        with pytest.raises(StoreUnavailable) as caught:
            await opened.run(NO_SUCH_TABLE)
        assert "no_such_table" not in str(caught.value.__cause__)
        assert str(caught.value.__cause__) != str(DOWN)


async def test_connections_that_are_cut_open_nothing(server: MariaDB | PostgreSQL, opened: Database) -> None:
    """What comes of the next one tells whether the server is there."""
    together = text("SELECT pg_sleep(0.3)" if isinstance(server, PostgreSQL) else "SELECT SLEEP(0.3)")
    await asyncio.gather(*(opened.run(together) for _ in range(POOL_SIZE)))
    if isinstance(server, PostgreSQL):
        mine = "application_name IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
    else:
        ids = server.sql("SELECT id FROM information_schema.processlist WHERE db = 'mysql' AND info IS NULL")
        assert len(ids) > FAILURES
        server.sql(";".join(f"KILL CONNECTION {number}" for (number,) in ids))
    cut = await asyncio.gather(*(opened.run(ONE, swap=True) for _ in range(POOL_SIZE)), return_exceptions=True)
    assert [type(outcome) for outcome in cut] == [StatementInterrupted] * POOL_SIZE
    await asyncio.gather(*(opened.run(ONE) for _ in range(3 * POOL_SIZE)))
