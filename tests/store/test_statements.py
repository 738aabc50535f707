"""What reaches the server: for each operation the promised statements and nothing around them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from asgi_sessions.store import mysql_session
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.session_row import COLUMNS
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.servers import MariaDB
from tests.store.rows import ALICE, HOUR, NOW, child_of, session_row
from tests.store.test_signing_keys import FIRST

BY_USER, BY_END = "ix_asgi_sessions_sessions_user_id", "ix_asgi_sessions_sessions_ended"
ENTRIES = "ix_asgi_sessions_session_index_handle"
Operation = Callable[[SessionRepository], Awaitable[object]]

ONE_STATEMENT: dict[str, tuple[str, Operation]] = {
    "insert": ("INSERT", lambda sessions: sessions.insert(session_row("new"))),
    "find": ("SELECT", lambda sessions: sessions.find("h1")),
    "fresh find": ("SELECT", lambda sessions: sessions.find("h1", fresh=True)),
    "promote": (
        "UPDATE",
        lambda sessions: sessions.promote(
            "h1", child_of(session_row()), now=NOW, idle_expires_at=NOW + HOUR, sibling_window=0
        ),
    ),
    "revoke": ("UPDATE", lambda sessions: sessions.revoke("h1", "logout", NOW)),
    "revoke many": ("UPDATE", lambda sessions: sessions.revoke_many(["h1", "h2", "h3"], "logout", NOW)),
    "revoke all": ("UPDATE", lambda sessions: sessions.revoke_all(ALICE, "logout", NOW)),
    "revoke others": ("UPDATE", lambda sessions: sessions.revoke_all(ALICE, "logout", NOW, except_handle="h1")),
    "count": ("SELECT", lambda sessions: sessions.count_of(ALICE, NOW)),
    "revoke a part": ("UPDATE", lambda sessions: sessions.revoke_part(ALICE, "logout", NOW, 0, 2)),
    "revoke the last part": ("UPDATE", lambda sessions: sessions.revoke_part(ALICE, "logout", NOW, 1, 2)),
    "parts of all": ("SELECT", lambda sessions: sessions.parts_of_all()),
    "revoke any part": ("UPDATE", lambda sessions: sessions.revoke_any_part("logout", NOW, 0, 2)),
    "revoke the last of any": ("UPDATE", lambda sessions: sessions.revoke_any_part("logout", NOW, 1, 2)),
    "handles": ("SELECT", lambda sessions: sessions.handles_of(ALICE, NOW)),
    "list": ("SELECT", lambda sessions: sessions.list_of(ALICE, NOW)),
    "a later page": ("SELECT", lambda sessions: sessions.list_of(ALICE, NOW, limit=1, after=(NOW, "h2"))),
    "newest": ("SELECT", lambda sessions: sessions.newest_of(ALICE, NOW, limit=100)),
    "revoke own": ("UPDATE", lambda sessions: sessions.revoke("h1", "logout", NOW, user_id=ALICE)),
    "get info": ("SELECT", lambda sessions: sessions.get_info("h1", NOW)),
    "infos with": ("SELECT", lambda sessions: sessions.infos_with('"key"', ["h1", "h2"], NOW)),
    "set info": ("UPDATE", lambda sessions: sessions.set_info("h1", "1", NOW)),
    "swap info": ("UPDATE", lambda sessions: sessions.swap_info("h1", "1", NOW, replaced="null")),
    "swap payload": ("UPDATE", lambda sessions: sessions.swap_payload("h1", "1", NOW, version=0)),
    "swap own payload": ("UPDATE", lambda sessions: sessions.swap_own_payload("h1", "1", NOW, version=0, known=0)),
}


class Recording:
    """The server's general log and counters while a piece of code runs."""

    def __init__(self, server: MariaDB) -> None:
        self._server = server
        self.statements: list[str] = []
        self.counters: dict[str, int] = {}

    def _counters(self) -> dict[str, int]:
        rows = self._server.sql("SHOW GLOBAL STATUS LIKE 'Com\\_%'")
        return {name: int(value) for name, value in rows}

    @asynccontextmanager
    async def of(self, database: Database) -> AsyncIterator[None]:
        (connection,) = (await database.run(text("SELECT CONNECTION_ID()"))).rows[0]
        self._server.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = ON")
        before = self._counters()
        yield
        after = self._counters()
        self._server.sql("SET GLOBAL general_log = OFF")
        log = f"SELECT REPLACE(argument, '\\n', ' ') FROM mysql.general_log WHERE thread_id = {connection}"
        self.statements = [statement for (statement,) in self._server.sql(log)]
        names = ("begin", "commit", "rollback", "set_option", "select", "insert", "update", "delete")
        self.counters = {name: after[f"Com_{name}"] - before[f"Com_{name}"] for name in names}


@pytest.fixture
async def recording(on_mariadb: Database, mariadb: MariaDB) -> Recording:
    return Recording(mariadb)


@pytest.mark.parametrize("name", ONE_STATEMENT)
async def test_an_operation_is_one_statement_and_no_other_round_trip(
    name: str, on_mariadb: Database, recording: Recording
) -> None:
    sessions = SessionRepository(on_mariadb, build_tables())
    await sessions.insert(session_row())
    verb, operation = ONE_STATEMENT[name]
    async with recording.of(on_mariadb):
        await operation(sessions)
    assert [statement.split()[0] for statement in recording.statements] == [verb]
    for counter in ("begin", "commit", "rollback"):
        assert recording.counters[counter] == 0
    assert recording.counters[verb.lower()] == 1
    # The one SET is the administrator's, who switches the log.
    assert recording.counters["set_option"] <= 1


async def test_a_hundred_sessions_end_in_one_statement(on_mariadb: Database, recording: Recording) -> None:
    sessions = SessionRepository(on_mariadb, build_tables())
    for number in range(100):
        await sessions.insert(session_row(f"h{number}"))
    async with recording.of(on_mariadb):
        assert await sessions.revoke_all(ALICE, "logout", NOW) == 100
    assert len(recording.statements) == 1


async def test_a_purge_selects_keys_and_deletes_by_key(on_mariadb: Database, recording: Recording) -> None:
    sessions = SessionRepository(on_mariadb, build_tables())
    await sessions.insert(session_row("idle", idle_expires_at=NOW))
    async with recording.of(on_mariadb):
        await sessions.purge(NOW, NOW)
    assert [statement.split()[0] for statement in recording.statements] == ["SELECT", "DELETE", "DELETE", "SELECT"]
    assert all("handle IN ('idle')" in statement for statement in recording.statements[1:3])
    assert "idle_expires_at <=" in recording.statements[1]


async def test_keys_and_leases_take_one_statement_once_they_exist(on_mariadb: Database, recording: Recording) -> None:
    keys, leases = SigningKeyStore(on_mariadb, build_tables()), LeaseStore(on_mariadb, build_tables())
    await keys.add(FIRST)
    await leases.acquire("purge", "w1", HOUR)
    async with recording.of(on_mariadb):
        await keys.load("access")
        await leases.acquire("purge", "w1", HOUR)
    assert [statement.split()[0] for statement in recording.statements] == ["SELECT", "UPDATE"]


async def test_statements_use_the_indexes(on_mariadb: Database, recording: Recording, mariadb: MariaDB) -> None:
    sessions = SessionRepository(on_mariadb, build_tables())
    await sessions.insert(session_row())
    async with recording.of(on_mariadb):
        await sessions.find("h1")
        await sessions.handles_of(ALICE, NOW)
        await sessions.revoke_all(ALICE, "logout", NOW)
        await sessions.revoke_part(ALICE, "logout", NOW, 2, 3)
        await sessions.count_of(ALICE, NOW)
        await sessions.purge(NOW, 0)
    used = indexes_used(recording, on_mariadb, mariadb)
    assert used == ["PRIMARY", BY_USER, BY_USER, BY_USER, BY_USER, BY_END, BY_END]


async def test_what_reads_and_erases_personal_data_uses_the_indexes(
    on_mariadb: Database, recording: Recording, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def three(*_: object) -> int:
        return 3

    monkeypatch.setattr(SessionRepository, "parts_of_all", three)
    sessions = SessionRepository(on_mariadb, build_tables())
    await sessions.insert(session_row())
    async with recording.of(on_mariadb):
        assert [row async for row in sessions.export(ALICE, acting=True)]
        await sessions.erase_of(ALICE, NOW)
        await sessions.erase(ALICE, ["h1"], NOW)
        await sessions.forget_addresses(NOW)
    used = indexes_used(recording, on_mariadb, mariadb)
    part_in_the_middle, forgetting_in_the_middle = used[4], used[10]
    assert (used[:3], part_in_the_middle) == ([BY_USER, "PRIMARY", ENTRIES], "PRIMARY")
    assert (used[6:9], forgetting_in_the_middle) == ([BY_USER, "PRIMARY", ENTRIES], "PRIMARY")


def indexes_used(recording: Recording, database: Database, server: MariaDB) -> list[str]:
    """By which index each of the recorded statements would be executed among three thousand live sessions."""
    name = database.url.database
    columns = ", ".join(COLUMNS)
    others = columns.replace("handle", "CONCAT('n', seq)", 1).replace("user_id", "CONCAT('s:', seq)", 1)
    server.sql(
        f"INSERT INTO asgi_sessions_sessions ({columns}) SELECT {others} FROM asgi_sessions_sessions, seq_1_to_3000;"
        " UPDATE asgi_sessions_sessions SET revoked_at = NULL, revoked_reason = NULL;"
        " ANALYZE TABLE asgi_sessions_sessions",
        name,
    )
    return [server.sql(f"EXPLAIN {statement}", name)[0][5] for statement in recording.statements]


async def test_a_strong_read_is_framed_and_leaves_the_connection_as_it_was(
    on_mariadb: Database, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_session, "strengthening", lambda _: ("SET @strong = 1", "SET @strong = 0"))
    database = await open_database(on_mariadb.url)
    async with recording.of(database):
        await SessionRepository(database, build_tables()).find("h1", fresh=True)
    before, read, after = recording.statements
    assert (before, after) == ("SET @strong = 1", "SET @strong = 0")
    assert read.startswith("SELECT")
    await database.close()


async def test_a_connection_that_stays_strong_is_thrown_away(
    on_mariadb: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_session, "strengthening", lambda _: ("SET @strong = 1", "no statement at all"))
    database = await open_database(on_mariadb.url)
    connection = text("SELECT CONNECTION_ID()")
    first = (await database.run(connection)).rows
    assert (await database.run(connection)).rows == first
    assert (await database.run(connection, strong=True)).rows == first
    assert (await database.run(connection)).rows != first
    await database.close()


@pytest.mark.parametrize(
    ("variables", "statements"),
    [
        ({}, None),
        ({"wsrep_on": "OFF", "wsrep_sync_wait": "0"}, None),
        ({"wsrep_on": "ON", "wsrep_sync_wait": "0"}, ("wsrep_sync_wait = 3", "wsrep_sync_wait = 0")),
        ({"wsrep_on": "ON", "wsrep_sync_wait": "6"}, ("wsrep_sync_wait = 7", "wsrep_sync_wait = 6")),
        ({"wsrep_on": "ON", "wsrep_sync_wait": "1"}, ("wsrep_sync_wait = 3", "wsrep_sync_wait = 1")),
        ({"wsrep_on": "ON", "wsrep_sync_wait": "3"}, None),
        ({"group_replication_consistency": "EVENTUAL"}, None),
        ({"group_replication_consistency": "EVENTUAL", "group_replication_group_name": ""}, None),
        ({"group_replication_consistency": "BEFORE_AND_AFTER", "group_replication_group_name": "a"}, None),
        (
            {"group_replication_consistency": "BEFORE_ON_PRIMARY_FAILOVER", "group_replication_group_name": "a"},
            (
                "group_replication_consistency = 'BEFORE'",
                "group_replication_consistency = 'BEFORE_ON_PRIMARY_FAILOVER'",
            ),
        ),
    ],
)
def test_clusters_are_asked_to_have_caught_up(variables: dict[str, str], statements: tuple[str, str] | None) -> None:
    expected = statements and tuple(f"SET SESSION {statement}" for statement in statements)
    assert mysql_session.strengthening(variables) == expected


async def test_the_session_is_set_up_for_short_exact_statements(on_mariadb: Database) -> None:
    names = text("SELECT @@tx_isolation, @@innodb_lock_wait_timeout, @@max_statement_time, @@autocommit")
    database = await open_database(on_mariadb.url, statement_timeout=4.5)
    assert (await database.run(names)).rows == [("READ-COMMITTED", 2, 4.5, 1)]
    await database.close()


async def test_texts_are_never_cut_off_even_where_the_server_would(mariadb: MariaDB, mariadb_url: str) -> None:
    mariadb.sql("SET GLOBAL sql_mode = ''")
    try:
        database = await open_database(mariadb_url)
        assert "STRICT_ALL_TABLES" in (await database.run(text("SELECT @@sql_mode"))).rows[0][0]
        await database.close()
    finally:
        mariadb.sql("SET GLOBAL sql_mode = DEFAULT")
