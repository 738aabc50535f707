"""What each connection's session is set to, whatever the server gives it, and at how many round trips."""

import pytest

from asgi_sessions.store import mysql_session
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.mysql_session import SQL_MODE, _changes, run
from tests.conftest import empty_database
from tests.store.odd_servers import INIT_CONNECT, OddMariaDB

AS_WANTED = {
    "autocommit": "ON",
    "innodb_lock_wait_timeout": "2",
    "sql_big_selects": "ON",
    "sql_mode": ",".join(SQL_MODE),
    "sql_safe_updates": "OFF",
    "sql_select_limit": "18446744073709551615",
    "unique_checks": "ON",
}
WANTED_MODES = f"'{','.join(SQL_MODE)}'"
CHARACTER_SETS = dict.fromkeys(("character_set_client", "character_set_connection", "character_set_results"), "utf8mb4")
MARIADB = {**AS_WANTED, "max_statement_time": "5.000000", "tx_isolation": "READ-COMMITTED", "tx_read_only": "OFF"}
MYSQL = {
    **AS_WANTED,
    "max_execution_time": "0",
    "transaction_isolation": "READ-COMMITTED",
    "transaction_read_only": "OFF",
}


async def session_of(database: Database) -> dict[str, str]:
    def ask(connection: object) -> dict[str, str]:
        return dict(run(connection, "SHOW SESSION VARIABLES"))

    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: ask(sync.connection.dbapi_connection))


async def test_an_odd_session_becomes_as_wanted(odd_mariadb: OddMariaDB) -> None:
    for url in empty_database(odd_mariadb):
        database = await open_database(url)
        session = await session_of(database)
        await database.close()
        wanted = {**MARIADB, **CHARACTER_SETS, "max_statement_time": f"{database.statement_timeout:.6f}"}
        modes = {*wanted.pop("sql_mode").split(",")}
        assert {name: session[name] for name in wanted} == wanted
        assert {*session["sql_mode"].split(",")} == modes
        assert session["time_zone"] == "+05:45"  # the server's own: no statement goes by it
        for setting in INIT_CONNECT:
            assert setting.partition(" = ")[0] in session


async def test_a_connection_costs_two_round_trips_more_than_the_drivers(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = mysql_session.run

    def noted(connection: object, statement: str) -> object:
        asked.append(statement)
        return real(connection, statement)

    monkeypatch.setattr(mysql_session, "run", noted)
    database = await open_database(mariadb_url)
    await session_of(database)
    await database.close()
    assert [statement.partition(" ")[0] for statement in asked] == ["SHOW", "SET"]


@pytest.mark.parametrize("session", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_nothing_is_set_that_is_as_wanted(session: dict[str, str]) -> None:
    assert dict(_changes(session, 5.0)) == {}


@pytest.mark.parametrize(
    ("session", "name", "given", "wanted"),
    [
        (MARIADB, "autocommit", "OFF", "ON"),
        (MYSQL, "autocommit", "OFF", "ON"),
        (MARIADB, "innodb_lock_wait_timeout", "50", "2"),
        (MARIADB, "max_statement_time", "0.000000", "5.000"),
        (MARIADB, "sql_big_selects", "OFF", "ON"),
        (MARIADB, "sql_mode", "", WANTED_MODES),
        (MYSQL, "sql_mode", f"{MYSQL['sql_mode']},ANSI_QUOTES", WANTED_MODES),
        (MARIADB, "sql_safe_updates", "ON", "OFF"),
        (MARIADB, "sql_select_limit", "1000", "18446744073709551615"),
        (MARIADB, "tx_isolation", "REPEATABLE-READ", "'READ-COMMITTED'"),
        (MYSQL, "transaction_isolation", "SERIALIZABLE", "'READ-COMMITTED'"),
        (MARIADB, "tx_read_only", "ON", "OFF"),
        (MYSQL, "transaction_read_only", "ON", "OFF"),
        (MARIADB, "unique_checks", "OFF", "ON"),
    ],
)
def test_what_is_not_as_wanted_is_set(session: dict[str, str], name: str, given: str, wanted: str) -> None:
    assert dict(_changes({**session, name: given}, 5.0)) == {name: wanted}


@pytest.mark.parametrize(("session", "name"), [(MARIADB, "max_statement_time"), (MYSQL, "max_execution_time")])
def test_a_change_of_tables_may_take_as_long_as_it_needs(session: dict[str, str], name: str) -> None:
    assert dict(_changes({**session, name: "1000"}, None)) == {name: "0"}
    assert dict(_changes({**session, name: "0"}, None)) == {}


def test_a_limit_of_the_servers_own_stays_for_ordinary_statements() -> None:
    assert dict(_changes({**MARIADB, "max_statement_time": "0.5"}, 5.0)) == {}
    assert dict(_changes({**MYSQL, "max_execution_time": "500"}, 5.0)) == {}


def test_a_binary_log_of_statements_refuses_the_level() -> None:
    log = {"log_bin": "ON", "binlog_format": "STATEMENT", "tx_isolation": "REPEATABLE-READ"}
    assert dict(_changes({**MARIADB, **log}, 5.0)) == {}
