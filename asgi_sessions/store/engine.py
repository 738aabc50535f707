"""One engine per event loop, set up so that one operation is one autocommit statement and nothing else."""

import asyncio
import os
import random
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Connection, Executable, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.store.failures import (
    DatabaseFailure,
    FailureKind,
    StatementInterrupted,
    classify,
    describe,
    is_lost_node,
)

__all__ = [
    "POOL_SIZE",
    "STATEMENT_TIMEOUT_SECONDS",
    "Database",
    "DuplicateKey",
    "Outcome",
    "engine_arguments",
    "open_database",
    "parse_database_url",
]

STATEMENT_TIMEOUT_SECONDS = 5.0
"""For one operation, its retries included. Drivers would wait for ever for a silent server."""
POOL_SIZE = 10
"""Connections per process at most: eight workers stay below MySQL's default of 151."""
POOL_RECYCLE_SECONDS = 1800
"""Below the idle limits of common proxies and firewalls."""
LOCK_WAIT_SECONDS = 2
"""Below the statement timeout, so that a lock wait ends with an error and a retry, not with a statement that
is given up here and still waits there (InnoDB's default is 50 s)."""
MAX_TRIES = 5

_DRIVERS = {
    "sqlite": "aiosqlite",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "postgresql": "asyncpg",
}
_EXTRAS = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql", "postgresql": "postgresql"}
_STRONG_READ = "asgi_sessions.strong_read"
_jitter = random.SystemRandom().uniform


class DuplicateKey(Exception):
    """A row with this key exists.

    Attributes:
        after_interruption: An earlier try of the same insert was cut off: the row may be its own.
    """

    def __init__(self, *, after_interruption: bool) -> None:
        super().__init__()
        self.after_interruption = after_interruption


class Outcome:
    """What a statement gave: its rows if it returns rows, and how many rows it matched if it changes them."""

    __slots__ = ("rowcount", "rows")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self.rows = rows
        self.rowcount = rowcount


def parse_database_url(database_url: str | URL) -> URL:
    """Read the address of the database and refuse what would be unsafe or could not work.

    Args:
        database_url: ``sqlite+aiosqlite://…``, ``mysql+asyncmy://…`` (``mariadb+asyncmy``) or
            ``postgresql+asyncpg://…``.

    Raises:
        ConfigurationError: It is none of these, or asks for TLS that verifies nobody.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("database_url: not an SQLAlchemy URL such as mysql+asyncmy://user@host/db") from None
    backend, _, driver = url.drivername.partition("+")
    if driver != _DRIVERS.get(backend):
        known = ", ".join(f"{name}+{driver}" for name, driver in _DRIVERS.items())
        raise ConfigurationError(f"database_url: must begin with one of {known}")
    if backend == "mariadb":
        url = url.set(drivername="mysql+asyncmy")
    if problem := {"mysql": _mysql_url_problem, "postgresql": _postgresql_url_problem}.get(
        url.get_backend_name(), lambda _: None
    )(url):
        raise ConfigurationError(f"database_url: {problem}")
    return url


def _mysql_url_problem(url: URL) -> str | None:
    if "ssl" in url.query:
        return "ssl=… does not verify the server or is silently ignored; give ssl_ca=/path/to/ca.pem instead"
    tls = {name for name in url.query if name.startswith("ssl_")}
    if tls and not (url.query.get("ssl_ca") or url.query.get("ssl_capath")):
        return "TLS without ssl_ca=… (or ssl_capath=…) does not verify the server"
    if "read_timeout" in url.query:
        return "read_timeout swallows cancellations on Python 3.11; statements have a timeout of their own"
    return None


def _postgresql_url_problem(url: URL) -> str | None:
    if "sslmode" in url.query:
        return "asyncpg calls it ssl=…, not sslmode=…"
    if "ssl" in url.query and url.query["ssl"] not in ("disable", "verify-ca", "verify-full"):
        return "ssl=… other than verify-full or verify-ca does not verify the server (CA: PGSSLROOTCERT)"
    return None


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return what every engine on this address needs, pooled or not."""
    connect: dict[str, Any] = {}
    if url.get_backend_name() == "mysql":
        # Without it bytes go as text: the server warns, and asyncmy fetches the warnings and logs values.
        connect["binary_prefix"] = True
        if url.password is not None:
            # asyncmy would encode as Latin-1, and fail on what that lacks; servers hash UTF-8.
            connect["password"] = url.password.encode()
    return {"hide_parameters": True, "connect_args": connect}


class Database:
    """The engine of one event loop, and the way every statement takes.

    Each operation borrows a connection, sends its statement and gives the connection back: no BEGIN, no
    COMMIT, no ROLLBACK, no ping. A connection that died while idle is noticed by its first statement, which
    is repeated on a new one where that is safe.

    Attributes:
        url: The address, for ``upgrade``.
        engine: SQLAlchemy's engine. Autocommit.
        dialect: ``"mysql"`` (MariaDB too), ``"postgresql"`` or ``"sqlite"``.
        statement_timeout: Seconds for one operation, retries included.
    """

    def __init__(self, url: URL, *, statement_timeout: float = STATEMENT_TIMEOUT_SECONDS) -> None:
        self.url = url
        self.dialect = url.get_backend_name()
        self.statement_timeout = statement_timeout
        self._loop = asyncio.get_running_loop()
        self._memory: sqlite3.Connection | None = None
        if self.dialect == "sqlite":
            self.url, self._memory = _prepare_sqlite(url)
        try:
            self.engine: AsyncEngine = create_async_engine(
                self.url,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
                poolclass=AsyncAdaptedQueuePool,
                pool_size=1 if self._memory else POOL_SIZE,
                max_overflow=0,
                pool_timeout=statement_timeout,
                pool_recycle=-1 if self.dialect == "sqlite" else POOL_RECYCLE_SECONDS,
                pool_use_lifo=True,
                pool_reset_on_return=None,  # nothing to reset where every statement commits itself
                **engine_arguments(self.url),
            )
        except (ModuleNotFoundError, NoSuchModuleError):
            extra = _EXTRAS[self.dialect]
            raise ConfigurationError(
                f"database_url: the driver is missing; install asgi-user-sessions[{extra}]"
            ) from None
        event.listen(self.engine.sync_engine, "handle_error", _mark_lost_connections)
        if (on_connect := {"sqlite": set_up_sqlite, "mysql": _set_up_mysql}.get(self.dialect)) is not None:
            event.listen(self.engine.sync_engine, "connect", on_connect)

    async def close(self) -> None:
        """Close all connections. Call it on the loop that opened the database."""
        await self.engine.dispose()
        if self._memory is not None:
            self._memory.close()

    async def run(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        swap: bool = False,
        strong: bool = False,
    ) -> Outcome:
        """Run one statement by itself, again where its failure allows that.

        Args:
            statement: Core, built once.
            parameters: Its values.
            swap: A compare-and-swap, not to be repeated when nobody knows whether it was done.
            strong: A read that must see every write acknowledged before, on whichever node (Galera, Group
                Replication). Two more statements there, none elsewhere.

        Raises:
            StoreUnavailable: The database did not do it, or not in time.
            StatementInterrupted: A compare-and-swap was cut off: it may have been done.
            DuplicateKey: An insert's key is taken.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ConfigurationError("The database belongs to another event loop: open one on each.")
        try:
            async with asyncio.timeout(self.statement_timeout):
                result = await self._attempt(statement, parameters, swap=swap, strong=strong)
        except TimeoutError:
            result = StoreUnavailable(), DatabaseFailure("statement timeout")
        if isinstance(result, Outcome):
            return result
        # Raised here and not in an except block: __context__ would carry the driver's text along.
        error, cause = result
        raise error from cause

    async def _attempt(
        self, statement: Executable, parameters: Mapping[str, Any] | None, *, swap: bool, strong: bool
    ) -> "Outcome | tuple[Exception, DatabaseFailure | None]":
        interrupted = False
        for tries in range(1, MAX_TRIES + 1):
            attempt = _Attempt(self.engine, statement, parameters, strong=strong)
            try:
                return await greenlet_spawn(attempt)
            except Exception as error:
                cause = describe(error)
                kind = classify(error) if attempt.connected else FailureKind.UNAVAILABLE
            if kind is FailureKind.DUPLICATE:
                return DuplicateKey(after_interruption=interrupted), None
            if kind is FailureKind.DISCONNECTED:
                if swap:
                    return StatementInterrupted(), cause
                if interrupted:
                    break
                interrupted = True
            elif kind is FailureKind.ROLLED_BACK and tries < MAX_TRIES:
                await asyncio.sleep(_jitter(0.002, 0.02) * 2**tries)
            else:
                break
        return StoreUnavailable(), cause


class _Attempt:
    """One try, in one greenlet: half the cost of AsyncConnection, which enters one per step."""

    __slots__ = ("connected", "engine", "parameters", "statement", "strong")

    def __init__(
        self,
        engine: AsyncEngine,
        statement: Executable,
        parameters: Mapping[str, Any] | None,
        *,
        strong: bool,
    ) -> None:
        self.engine = engine.sync_engine
        self.statement = statement
        self.parameters = parameters
        self.strong = strong
        self.connected = False

    def __call__(self) -> Outcome:
        with self.engine.connect() as connection:
            self.connected = True
            if self.strong and (settings := connection.info.get(_STRONG_READ)) is not None:
                return self._strongly(connection, *settings)
            return self._execute(connection)

    def _execute(self, connection: Connection) -> Outcome:
        result = connection.execute(self.statement, self.parameters)
        return Outcome(result.all(), -1) if result.returns_rows else Outcome((), result.rowcount)

    def _strongly(self, connection: Connection, before: str, after: str) -> Outcome:
        connection.exec_driver_sql(before)
        try:
            return self._execute(connection)
        finally:
            if not connection.invalidated:
                try:
                    connection.exec_driver_sql(after)
                except Exception:
                    # The next borrower must not wait for the cluster at every read.
                    connection.invalidate()


async def open_database(database_url: str | URL, *, statement_timeout: float = STATEMENT_TIMEOUT_SECONDS) -> Database:
    """Make the running event loop's engine. Nothing is connected yet: the first statement does that.

    Args:
        database_url: See ``parse_database_url``. ``sqlite+aiosqlite://`` is a database in memory, gone at
            ``close()`` and seen by nobody else.
        statement_timeout: Seconds for one operation.

    Raises:
        ConfigurationError: The address is unusable, or the driver is not installed.
    """
    return Database(parse_database_url(database_url), statement_timeout=statement_timeout)


def _prepare_sqlite(url: URL) -> tuple[URL, sqlite3.Connection | None]:
    if not url.database or url.database == ":memory:":
        # A cancelled statement costs its connection, and with the last one the database would be gone. So it
        # gets a name, and a connection that only holds it.
        name = f"file:asgi_sessions_{uuid.uuid4().hex}"
        holder = sqlite3.connect(f"{name}?mode=memory&cache=shared", uri=True)
        return url.set(database=name, query={"mode": "memory", "cache": "shared", "uri": "true"}), holder
    if not url.database.startswith("file:"):
        # It may hold signing keys: for the owner only. SQLite's other files inherit this.
        with suppress(OSError):  # there already; or it cannot be, and SQLite will say so
            os.close(os.open(url.database, os.O_CREAT | os.O_EXCL, 0o600))
    return url, None


def _mark_lost_connections(context: ExceptionContext) -> None:
    original = context.original_exception
    driver_error: type[BaseException] = context.dialect.loaded_dbapi.Error
    if is_lost_node(original):
        context.is_disconnect = True
    elif isinstance(original, Exception) and not isinstance(original, driver_error):
        # A bare OSError from a driver's socket, or its parser stumbling over half an answer.
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _run(dbapi_connection: Any, statement: str) -> Sequence[Any]:
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def set_up_sqlite(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    """Prepare a new SQLite connection: readers beside the writer, and writers that wait for each other."""
    _run(dbapi_connection, "PRAGMA busy_timeout = 5000")
    with suppress(sqlite3.OperationalError):  # another process is just switching the file; the mode is the file's
        _run(dbapi_connection, "PRAGMA journal_mode = WAL")
    _run(dbapi_connection, "PRAGMA synchronous = NORMAL")  # in WAL mode safe against all but losing the last writes


def _set_up_mysql(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    """Set the session's variables, and find out what a read needs on this server to be up to date."""
    # SHOW, since asking for @@a_variable_that_another_flavour_has is an error.
    names = (
        "binlog_format,group_replication_consistency,innodb_lock_wait_timeout,log_bin,max_statement_time,sql_mode,"
        "transaction_isolation,tx_isolation,wsrep_on,wsrep_sync_wait"
    )
    shown = _run(dbapi_connection, f"SHOW VARIABLES WHERE FIND_IN_SET(Variable_name, '{names}')")
    variables = {name.lower(): value for name, value in shown}
    changes: list[str] = []
    if int(variables.get("innodb_lock_wait_timeout", 50)) > LOCK_WAIT_SECONDS:
        changes.append(f"innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}")
    if float(variables.get("max_statement_time", STATEMENT_TIMEOUT_SECONDS)) == 0:  # MariaDB only
        changes.append(f"max_statement_time = {STATEMENT_TIMEOUT_SECONDS:.0f}")
    modes = variables.get("sql_mode", "")
    if "STRICT_" not in modes:
        # Without it a text that is too long is cut off with a warning.
        changes.append(f"sql_mode = '{modes + ',' if modes else ''}STRICT_ALL_TABLES'")
    if not (variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT"):
        # Gaps between a user's sessions stay unlocked. (Statement-based binary logs refuse this level.)
        level = "transaction_isolation" if "transaction_isolation" in variables else "tx_isolation"
        changes.append(f"{level} = 'READ-COMMITTED'")
    if changes:
        _run(dbapi_connection, "SET SESSION " + ", ".join(changes))
    record.info[_STRONG_READ] = _strong_read(variables)


def _strong_read(variables: Mapping[str, str]) -> tuple[str, str] | None:
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
