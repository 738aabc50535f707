"""What a new connection's session on MySQL or MariaDB must be like, whatever the server or ``init_connect`` says.

Two round trips: one asks, one sets what is not as wanted (two more under a very small ``sql_select_limit``). Variables
that a server does not have it does not name. The character sets are SQLAlchemy's: it sends ``SET NAMES`` with the one
in which the driver writes texts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry

from asgi_sessions.errors import ConfigurationError

__all__ = ["LIFT_SELECT_LIMIT", "LOCK_WAIT_SECONDS", "STRONG", "mysql_set_up", "strengthening"]

LOCK_WAIT_SECONDS = 2
"""Below the statement timeout, so that a lock wait ends with an error and a retry, not with a statement that
is given up here and still waits there (InnoDB's default is 50 s)."""
SQL_MODE = (
    "STRICT_ALL_TABLES",
    "NO_ENGINE_SUBSTITUTION",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
)
"""All of it. Without the first a text that is too long is cut off with a warning. Among those that a server may have
given are some that change what a statement means (ORACLE, EMPTY_STRING_IS_NULL, HIGH_NOT_PRECEDENCE). MySQL warns of
the strict mode without the last three, which change nothing for us."""
PLAIN_BACKSLASHES = "NO_BACKSLASH_ESCAPES"
"""The mode in which a backslash escapes nothing. asyncmy 0.2.18 writes bytes with backslashes all the same: they would
be stored changed, or end their literal."""
STRONG = "asgi_sessions.strong"
"""Where a connection's ``info`` keeps the statements before and after one that must see all that was acknowledged."""

_WAITING = 1 | 2
"""Galera's reads; updates and deletes."""

_ALWAYS = {
    "autocommit": "ON",  # asyncmy does not see what init_connect has done to it
    "sql_big_selects": "ON",
    "sql_safe_updates": "OFF",
    "sql_select_limit": "18446744073709551615",
    "transaction_read_only": "OFF",
    "tx_read_only": "OFF",
    "unique_checks": "ON",
}
LIFT_SELECT_LIMIT = f"SET SESSION sql_select_limit = {_ALWAYS['sql_select_limit']}"
"""For who asks with SHOW: the limit cuts off its answers too."""
_ASKED = (
    *_ALWAYS,
    "binlog_format",
    "group_replication_consistency",
    "group_replication_group_name",
    "innodb_lock_wait_timeout",
    "log_bin",
    "max_execution_time",
    "max_statement_time",
    "sql_mode",
    "transaction_isolation",
    "tx_isolation",
    "wsrep_on",
    "wsrep_sync_wait",
)
# SHOW, since asking for @@a_variable_that_another_flavour_has is an error.
_QUESTION = f"SHOW SESSION VARIABLES WHERE FIND_IN_SET(Variable_name, '{','.join(_ASKED)}')"


def mysql_set_up(statement_timeout: float | None) -> Callable[[Any, ConnectionPoolEntry], None]:
    """Return what sets a new connection's variables and finds out what a read needs on its server to be up to date.

    Args:
        statement_timeout: After which MariaDB itself gives a statement up, seconds; None for as long as they take, as
            changes of large tables must.

    Raises:
        ConfigurationError: By what is returned: values cannot be sent safely to this server.
    """

    def set_up(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        variables = _ask(dbapi_connection)
        changes = dict(_changes(variables, statement_timeout))
        if changes:
            run(dbapi_connection, "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in changes.items()))
        if PLAIN_BACKSLASHES in _modes(variables):
            _require_that_it_is_gone(dbapi_connection)
        record.info[STRONG] = strengthening(variables)

    return set_up


def run(dbapi_connection: Any, statement: str) -> Sequence[Any]:
    """Run a statement on the driver's own connection, and return its rows."""
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def _ask(dbapi_connection: Any) -> Mapping[str, str]:
    variables = _variables(dbapi_connection)
    if int(variables.get("sql_select_limit", 0)) < len(_ASKED):
        run(dbapi_connection, LIFT_SELECT_LIMIT)
        variables = _variables(dbapi_connection)
    return variables


def _variables(dbapi_connection: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in run(dbapi_connection, _QUESTION)}


def _changes(variables: Mapping[str, str], statement_timeout: float | None) -> Iterator[tuple[str, str]]:
    """What is not as it must be: names and values for ``SET``."""
    if set(_modes(variables)) != set(SQL_MODE):
        yield "sql_mode", f"'{','.join(SQL_MODE)}'"
    for name, wanted in _ALWAYS.items():
        if variables.get(name, wanted).upper() != wanted:
            yield name, wanted
    yield from _time_limits(variables, statement_timeout)
    if not (variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT"):
        # Gaps between a user's sessions stay unlocked. (Statement-based binary logs refuse this level.)
        level = "transaction_isolation" if "transaction_isolation" in variables else "tx_isolation"
        if variables.get(level) != "READ-COMMITTED":
            yield level, "'READ-COMMITTED'"


def _time_limits(variables: Mapping[str, str], statement_timeout: float | None) -> Iterator[tuple[str, str]]:
    if statement_timeout is not None and int(variables.get("innodb_lock_wait_timeout", 50)) > LOCK_WAIT_SECONDS:
        yield "innodb_lock_wait_timeout", str(LOCK_WAIT_SECONDS)
    given = float(variables.get("max_statement_time", 0))  # MariaDB's, seconds
    if statement_timeout is None:
        if given:
            yield "max_statement_time", "0"
        if variables.get("max_execution_time", "0") != "0":  # MySQL's, ms, for SELECT alone
            yield "max_execution_time", "0"
    elif not given and "max_statement_time" in variables:
        yield "max_statement_time", f"{statement_timeout:.3f}"


def _modes(variables: Mapping[str, str]) -> Sequence[str]:
    return [mode for mode in variables.get("sql_mode", "").upper().split(",") if mode]


def _require_that_it_is_gone(dbapi_connection: Any) -> None:
    # Something on the way, a proxy or a pool, may have kept the change from the server.
    [(_, modes)] = run(dbapi_connection, "SHOW SESSION VARIABLES WHERE Variable_name = 'sql_mode'")
    if PLAIN_BACKSLASHES in modes.upper():
        dbapi_connection.close()
        raise ConfigurationError(
            f"database_url: the server's sql_mode has {PLAIN_BACKSLASHES}, and our connections cannot take it out: "
            "change the server's configuration, or that of the proxy before it. With it values would be stored "
            "changed, or end their literal."
        )


def strengthening(variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the statements before and after one that must see all that was acknowledged; None where each does."""
    if variables.get("wsrep_on") == "ON":
        usual = int(variables.get("wsrep_sync_wait", "0"))
        if usual & _WAITING != _WAITING:
            return f"SET SESSION wsrep_sync_wait = {usual | _WAITING}", f"SET SESSION wsrep_sync_wait = {usual}"
    # MySQL 9 has the variable without a group too.
    usual_consistency = variables.get("group_replication_consistency", "BEFORE")
    if variables.get("group_replication_group_name") and usual_consistency not in ("BEFORE", "BEFORE_AND_AFTER"):
        setting = "SET SESSION group_replication_consistency = "
        return f"{setting}'BEFORE'", f"{setting}'{usual_consistency}'"
    return None
