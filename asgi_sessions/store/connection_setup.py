"""What a new connection is told once, so that no operation has to say it."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from asgi_sessions.errors import ConfigurationError

__all__ = ["STATEMENT_TIMEOUT_SECONDS", "STRONG_READ", "set_up_connections", "strong_read"]

STATEMENT_TIMEOUT_SECONDS = 5.0
"""For one operation, its retries included. Drivers would wait for ever for a silent server."""
LOCK_WAIT_SECONDS = 2
"""Below the statement timeout, so that a lock wait ends with an error and a retry, not with a statement that
is given up here and still waits there (InnoDB's default is 50 s)."""
PLAIN_BACKSLASHES = "NO_BACKSLASH_ESCAPES"
"""The sql_mode in which a backslash escapes nothing. asyncmy 0.2.18 writes bytes with backslashes all the same: they
would be stored changed, or end their literal."""
STRONG_READ = "asgi_sessions.strong_read"
"""Where a connection's ``info`` keeps the statements before and after a read that must be up to date."""


def _run(dbapi_connection: Any, statement: str) -> Sequence[Any]:
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def set_up_connections(engine: Engine, *, statement_timeout: float, hurried: bool = True) -> None:
    """Have each new connection of an engine set up. Every engine of this package goes through here.

    Args:
        engine: An engine of any dialect.
        statement_timeout: Seconds, after which nobody waits for a statement any more.
        hurried: False lets statements take as long as the server allows, as changes of large tables must.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", sqlite_set_up(statement_timeout))
    elif engine.dialect.name == "mysql":
        event.listen(engine, "connect", mysql_set_up(statement_timeout) if hurried else set_sql_mode)


def sqlite_set_up(busy_timeout: float) -> Callable[[Any, ConnectionPoolEntry], None]:
    """Return what prepares a new SQLite connection: readers beside the writer, writers that wait for each other.

    Args:
        busy_timeout: How long a writer waits for another, seconds. No longer than its statement may take.
    """

    def set_up(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        _run(dbapi_connection, f"PRAGMA busy_timeout = {busy_timeout * 1000:.0f}")
        # Another process may just be switching the file, which no busy_timeout waits for; the mode is the file's.
        with suppress(sqlite3.OperationalError):
            _run(dbapi_connection, "PRAGMA journal_mode = WAL")
        # In WAL mode a power cut may cost the last commits, but never the file.
        _run(dbapi_connection, "PRAGMA synchronous = NORMAL")

    return set_up


def mysql_set_up(statement_timeout: float) -> Callable[[Any, ConnectionPoolEntry], None]:
    """Return what sets a new connection's variables and finds out what a read needs on its server to be up to date.

    Args:
        statement_timeout: After which MariaDB itself gives a statement up, seconds.

    Raises:
        ConfigurationError: By what is returned: values cannot be sent safely to this server.
    """

    def set_up(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        set_sql_mode(dbapi_connection, record)
        _set_variables(dbapi_connection, record, statement_timeout)

    return set_up


def _set_variables(dbapi_connection: Any, record: ConnectionPoolEntry, statement_timeout: float) -> None:
    # SHOW, since asking for @@a_variable_that_another_flavour_has is an error.
    names = (
        "binlog_format,group_replication_consistency,innodb_lock_wait_timeout,log_bin,max_statement_time,"
        "transaction_isolation,tx_isolation,wsrep_on,wsrep_sync_wait"
    )
    shown = _run(dbapi_connection, f"SHOW VARIABLES WHERE FIND_IN_SET(Variable_name, '{names}')")
    variables = {name.lower(): value for name, value in shown}
    changes: list[str] = []
    if int(variables.get("innodb_lock_wait_timeout", 50)) > LOCK_WAIT_SECONDS:
        changes.append(f"innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}")
    if float(variables.get("max_statement_time", statement_timeout)) == 0:  # MariaDB only
        changes.append(f"max_statement_time = {statement_timeout:.3f}")
    if not (variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT"):
        # Gaps between a user's sessions stay unlocked. (Statement-based binary logs refuse this level.)
        level = "transaction_isolation" if "transaction_isolation" in variables else "tx_isolation"
        changes.append(f"{level} = 'READ-COMMITTED'")
    if changes:
        _run(dbapi_connection, "SET SESSION " + ", ".join(changes))
    record.info[STRONG_READ] = strong_read(variables)


def set_sql_mode(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    """Have the server read values as the driver writes them, and refuse what does not fit. Before any value is sent.

    Raises:
        ConfigurationError: The server goes on to read them otherwise; the connection is closed.
    """
    given = _sql_mode(dbapi_connection)
    modes = [mode for mode in given if mode != PLAIN_BACKSLASHES]
    if not any("STRICT_" in mode for mode in modes):
        # Without it a text that is too long is cut off with a warning.
        modes.append("STRICT_ALL_TABLES")
    if modes == given:
        return
    _run(dbapi_connection, f"SET SESSION sql_mode = '{','.join(modes)}'")
    # Something on the way, a proxy or a pool, may have kept the change from the server.
    if PLAIN_BACKSLASHES in _sql_mode(dbapi_connection):
        dbapi_connection.close()
        raise ConfigurationError(
            f"database_url: the server's sql_mode has {PLAIN_BACKSLASHES}, and our connections cannot take it out: "
            "change the server's configuration, or that of the proxy before it. With it values would be stored "
            "changed, or end their literal."
        )


def _sql_mode(dbapi_connection: Any) -> list[str]:
    [(modes,)] = _run(dbapi_connection, "SELECT UPPER(@@SESSION.sql_mode)")
    return [mode for mode in modes.split(",") if mode]


def strong_read(variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the statements before and after a read that must be up to date; None where every read is."""
    if variables.get("wsrep_on") == "ON":
        usual = int(variables.get("wsrep_sync_wait", "0"))
        if not usual & 1:
            return f"SET SESSION wsrep_sync_wait = {usual | 1}", f"SET SESSION wsrep_sync_wait = {usual}"
    usual_consistency = variables.get("group_replication_consistency", "BEFORE")
    if usual_consistency not in ("BEFORE", "BEFORE_AND_AFTER"):
        setting = "SET SESSION group_replication_consistency = "
        return f"{setting}'BEFORE'", f"{setting}'{usual_consistency}'"
    return None
