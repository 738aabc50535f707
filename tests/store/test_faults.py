"""What happens when the database fails, on servers that are really killed, stopped and locked."""

import asyncio
import logging
import sqlite3
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store import attempt, cancellation
from asgi_sessions.store.engine import Database, Outcome, open_database
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.clusters.nodes import wait_until
from tests.servers import MariaDB, PostgreSQL
from tests.store.rows import ALICE, HOUR, NOW, child_of, session_row
from tests.store.test_signing_keys import FIRST

QUICK = 0.3
"""A statement timeout for servers that will not answer."""
LOST_CANCELLATION = 5.0
"""One for statements that are to be cancelled long before."""


@pytest.fixture
def sessions(on_mariadb: Database) -> SessionRepository:
    return SessionRepository(on_mariadb, build_tables())


@pytest.fixture
def paused(mariadb: MariaDB) -> Iterator[MariaDB]:
    """The server, to be paused; resumed afterwards in any case."""
    yield mariadb
    mariadb.resume()


def promote(sessions: SessionRepository) -> Awaitable[bool]:
    return sessions.promote("h1", child_of(session_row()), now=NOW, idle_expires_at=NOW + HOUR, sibling_window=0)


def kill_connections(server: MariaDB, database: Database) -> None:
    name = database.url.database
    ids = server.sql(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
    server.sql(";".join(f"KILL CONNECTION {number}" for (number,) in ids))


REPEATABLE: dict[str, Callable[[Database], Awaitable[object]]] = {
    "insert": lambda db: SessionRepository(db, build_tables()).insert(session_row("new")),
    "find": lambda db: SessionRepository(db, build_tables()).find("h1"),
    "revoke": lambda db: SessionRepository(db, build_tables()).revoke("h1", "logout", NOW),
    "revoke many": lambda db: SessionRepository(db, build_tables()).revoke_many(["h1"], "logout", NOW),
    "revoke all": lambda db: SessionRepository(db, build_tables()).revoke_all(ALICE, "logout", NOW),
    "revoke a part": lambda db: SessionRepository(db, build_tables()).revoke_part(ALICE, "logout", NOW, 0, 1),
    "revoke any part": lambda db: SessionRepository(db, build_tables()).revoke_any_part("logout", NOW, 0, 1),
    "set info": lambda db: SessionRepository(db, build_tables()).set_info("h1", "1", NOW),
    "list": lambda db: SessionRepository(db, build_tables()).list_of(ALICE, NOW),
    "purge": lambda db: SessionRepository(db, build_tables()).purge(NOW + 20 * HOUR, NOW),
    "load keys": lambda db: SigningKeyStore(db, build_tables()).load("access"),
    "add key": lambda db: SigningKeyStore(db, build_tables()).add(FIRST),
    "lease": lambda db: LeaseStore(db, build_tables()).acquire("purge", "w1", HOUR),
}


@pytest.mark.parametrize("name", REPEATABLE)
async def test_a_connection_cut_while_idle_is_not_noticed(name: str, on_mariadb: Database, mariadb: MariaDB) -> None:
    await SessionRepository(on_mariadb, build_tables()).insert(session_row())
    kill_connections(mariadb, on_mariadb)
    assert await REPEATABLE[name](on_mariadb) in (None, True, 1, []) or name in ("find", "list")


async def test_a_cut_under_a_promotion_is_told_and_the_next_one_works(
    on_mariadb: Database, sessions: SessionRepository, mariadb: MariaDB
) -> None:
    await sessions.insert(session_row())
    kill_connections(mariadb, on_mariadb)
    with pytest.raises(StatementInterrupted):
        await promote(sessions)
    row = await sessions.find("h1", fresh=True)
    assert row is not None
    assert row.gen == 0
    assert await promote(sessions)


async def test_a_terminated_postgresql_connection_is_not_noticed(
    on_postgresql: Database, postgresql: PostgreSQL
) -> None:
    sessions = SessionRepository(on_postgresql, build_tables())
    await sessions.insert(session_row())
    name = on_postgresql.url.database
    postgresql.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert await sessions.find("h1") is not None


async def test_a_postgresql_connection_that_was_idle_for_too_long_is_not_noticed(
    on_postgresql: Database, postgresql: PostgreSQL
) -> None:
    sessions = SessionRepository(on_postgresql, build_tables())
    await sessions.insert(session_row())
    await on_postgresql.run(text("SET idle_session_timeout = 1"))
    name = on_postgresql.url.database
    # This holds the loop, so that the driver reads the server's farewell as the answer to the next statement.
    wait_until(lambda: not postgresql.sql(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"), "it is cut")
    assert await sessions.find("h1") is not None


async def test_an_insert_that_was_done_before_the_cut_is_done(
    sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_after_the_first_statement(monkeypatch)
    await sessions.insert(session_row())
    assert await sessions.handles_of(ALICE, NOW) == ["h1"]


async def test_a_key_that_was_added_before_the_cut_is_ours(
    on_mariadb: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_after_the_first_statement(monkeypatch)
    assert await SigningKeyStore(on_mariadb, build_tables()).add(FIRST)


async def test_a_promotion_that_was_done_before_the_cut_is_found_by_reading_again(
    sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sessions.insert(session_row())
    cut_after_the_first_statement(monkeypatch)
    with pytest.raises(StatementInterrupted):
        await promote(sessions)
    row = await sessions.find("h1", fresh=True)
    assert row is not None
    assert row.gen == 1


async def test_a_change_of_the_info_that_was_done_before_the_cut_is_not_made_twice(
    sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sessions.insert(session_row(session_info="1"))
    cut_after_the_first_statement(monkeypatch)
    with pytest.raises(StatementInterrupted):
        await sessions.swap_info("h1", "2", NOW, replaced="1")
    assert await sessions.get_info("h1", NOW) == "2"


def cut_after_the_first_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next statement is done, but its answer does not come back."""
    real = attempt.Attempt._execute
    lost: list[bool] = []

    def execute(self: attempt.Attempt, connection: Connection) -> Outcome:
        outcome = real(self, connection)
        if not lost:
            lost.append(True)
            connection.invalidate()
            raise ConnectionResetError
        return outcome

    monkeypatch.setattr(attempt.Attempt, "_execute", execute)


@pytest.fixture
def faulty(on_mariadb: Database, mariadb: MariaDB) -> Iterator[Callable[[int, int], None]]:
    """Let the next so many updates of sessions fail with an error number."""

    def arm(code: int, times: int) -> None:
        # Aria is not transactional: the count survives the statement that fails.
        mariadb.sql(
            f"""
            CREATE TABLE faults (n INT) ENGINE=Aria TRANSACTIONAL=0;
            INSERT INTO faults VALUES ({times});
            DELIMITER //
            CREATE TRIGGER fault BEFORE UPDATE ON asgi_sessions_sessions FOR EACH ROW
            IF (SELECT n FROM faults) > 0 THEN
                UPDATE faults SET n = n - 1;
                SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'canary';
            END IF //
            """,
            on_mariadb.url.database,
        )

    yield arm
    mariadb.sql("DROP TRIGGER fault; DROP TABLE faults", on_mariadb.url.database)


@pytest.mark.parametrize("code", [1020, 1180, 1205, 1213, 3101])
async def test_conflicts_are_repeated_also_under_a_promotion(
    code: int, faulty: Callable[[int, int], None], sessions: SessionRepository
) -> None:
    await sessions.insert(session_row())
    faulty(code, 3)
    assert await promote(sessions)


async def test_a_conflict_that_stays_is_unavailable(
    faulty: Callable[[int, int], None], sessions: SessionRepository
) -> None:
    await sessions.insert(session_row())
    faulty(1213, 1000)
    with pytest.raises(StoreUnavailable) as caught:
        await sessions.revoke("h1", "logout", NOW)
    assert not isinstance(caught.value, StatementInterrupted)


@pytest.mark.parametrize("code", [1047, 1053, 1290, 1792, 1836, 3100, 3796, 3797])
async def test_a_node_that_has_left_is_asked_again_over_a_new_connection(
    code: int, faulty: Callable[[int, int], None], on_mariadb: Database, sessions: SessionRepository
) -> None:
    connection = text("SELECT CONNECTION_ID()")
    await sessions.insert(session_row())
    faulty(code, 1)
    before = (await on_mariadb.run(connection)).rows
    assert await sessions.revoke("h1", "logout", NOW)
    assert (await on_mariadb.run(connection)).rows != before


async def test_a_node_that_stays_away_is_unavailable(
    faulty: Callable[[int, int], None], sessions: SessionRepository
) -> None:
    await sessions.insert(session_row())
    faulty(1047, 2)
    with pytest.raises(StoreUnavailable):
        await sessions.revoke("h1", "logout", NOW)
    assert await sessions.revoke("h1", "logout", NOW)


async def test_real_deadlocks_are_not_noticed(sessions: SessionRepository) -> None:
    handles = [f"d{number}" for number in range(20)]
    for handle in handles:
        await sessions.insert(session_row(handle))
    both = [sessions.revoke_many(order, "logout", NOW) for order in (handles, handles[::-1]) for _ in range(4)]
    assert sum(await asyncio.gather(*both)) == 20


async def test_a_killed_server_is_unavailable_until_it_is_back(
    on_mariadb: Database, sessions: SessionRepository, mariadb: MariaDB
) -> None:
    await sessions.insert(session_row())
    mariadb.kill()
    try:
        for attempt in (sessions.find("h1"), promote(sessions), sessions.insert(session_row("new"))):
            with pytest.raises(StoreUnavailable) as caught:
                await attempt
            assert caught.value.retry_after == 1
    finally:
        mariadb.start()
    assert await sessions.find("h1") is not None
    assert await promote(sessions)


async def test_a_silent_server_is_unavailable_in_time_and_works_again(
    on_mariadb: Database, sessions: SessionRepository, paused: MariaDB
) -> None:
    await sessions.insert(session_row())
    usual = on_mariadb.statement_timeout
    on_mariadb.statement_timeout = QUICK
    paused.pause()
    loop = asyncio.get_running_loop()
    start = loop.time()
    # More than there are connections: some wait for one that will not come.
    results = await asyncio.gather(*(sessions.find("h1") for _ in range(15)), return_exceptions=True)
    assert loop.time() - start < usual
    assert {type(result) for result in results} == {StoreUnavailable}
    paused.resume()
    on_mariadb.statement_timeout = usual
    await sessions.find("h1")  # the circuit is open: this one closes it
    await asyncio.gather(*(sessions.find("h1") for _ in range(15)))


async def test_a_driver_that_loses_a_cancellation_is_cancelled_again(
    on_mariadb: Database, sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    # asyncio.wait_for does on Python 3.11, when its result comes at the same moment.
    def wait_for_ever(_: attempt.Attempt) -> Outcome:
        with suppress(asyncio.CancelledError):
            await_only(asyncio.Event().wait())
        await_only(asyncio.Event().wait())
        raise RuntimeError

    monkeypatch.setattr(attempt.Attempt, "__call__", wait_for_ever)
    monkeypatch.setattr(cancellation, "SECOND_CANCELLATION_SECONDS", 0.01)
    usual, on_mariadb.statement_timeout = on_mariadb.statement_timeout, 0.01
    with pytest.raises(StoreUnavailable):
        await sessions.find("h1")
    monkeypatch.undo()
    on_mariadb.statement_timeout = usual


async def test_cancelling_passes_through_and_leaves_the_pool_sound(
    on_mariadb: Database, sessions: SessionRepository, paused: MariaDB
) -> None:
    await sessions.insert(session_row())
    # On Python 3.11 asyncio.wait_for, which drivers use, may lose a cancellation: then the statement ends by its limit.
    usual, on_mariadb.statement_timeout = on_mariadb.statement_timeout, LOST_CANCELLATION
    paused.pause()
    readings = [asyncio.create_task(sessions.find("h1")) for _ in range(15)]
    await asyncio.sleep(0.01)
    for reading in readings:
        reading.cancel()
    results = await asyncio.gather(*readings, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    paused.resume()
    on_mariadb.statement_timeout = usual
    assert await sessions.find("h1") is not None


async def test_missing_tables_are_unavailable(bare: Database) -> None:
    with pytest.raises(StoreUnavailable):
        await SessionRepository(bare, build_tables()).find("h1")


async def test_a_server_that_never_was_is_unavailable() -> None:
    for url in ("mysql+asyncmy://root@127.0.0.1:1/x", "postgresql+asyncpg://postgres@127.0.0.1:1/x"):
        database = await open_database(url)
        with pytest.raises(StoreUnavailable):
            await SessionRepository(database, build_tables()).find("h1")
        await database.close()


async def test_a_locked_sqlite_file_is_unavailable_until_it_is_free(tmp_path: Path) -> None:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    await upgrade(database)
    await database.run(text("PRAGMA busy_timeout = 0"))
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    writer = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await sessions.revoke("h1", "logout", NOW)
    assert await sessions.find("h1") is not None
    writer.execute("ROLLBACK")
    writer.close()
    assert await sessions.revoke("h1", "logout", NOW)
    await database.close()


async def test_no_value_appears_in_errors_or_logs(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for logger in (None, "sqlalchemy"):
        caplog.set_level(logging.DEBUG, logger)
    database = await open_database(database.url)  # SQLAlchemy asks for the level when a connection is checked out
    sessions = SessionRepository(database, build_tables())
    secret = session_row(user_id=b"canary", cur=b"canary" * 5, jwt_payload='"canary"', session_info='"canary"')
    await sessions.insert(secret)
    too_long = session_row("h2", user_id=b"canary", jwt_payload='"canary"', revoked_reason="canary" * 10)
    rows = (secret, too_long, session_row("h3", jwt_payload='"canary \ud800"'))
    results = await asyncio.gather(*(sessions.insert(row) for row in rows), return_exceptions=True)
    await sessions.find(secret.handle)
    await database.close()
    assert any(
        "INSERT INTO" in record.getMessage() for record in caplog.records if record.name.startswith("sqlalchemy")
    )
    errors = [result for result in results if result is not None]
    assert {type(error) for error in errors} == {StoreUnavailable}
    for error in errors:
        assert error.__context__ is None
        assert "canary" not in "".join(traceback.format_exception(error))
        assert "canary" not in f"{error!r} {error.__cause__!r}"
    # aiosqlite's own debug log writes whole statements; it is off unless somebody asks for it.
    ours = [record for record in caplog.records if record.name != "aiosqlite"]
    assert [record for record in ours if "canary" in record.getMessage()] == []
