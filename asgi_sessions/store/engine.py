"""One engine per event loop, set up so that one operation is one autocommit statement and nothing else."""

import asyncio
import os
import random
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Executable, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.store.address import engine_arguments, parse_database_url
from asgi_sessions.store.cancellation import Deadline, to_the_end
from asgi_sessions.store.causes import Cause, diagnose, phrase
from asgi_sessions.store.connection_setup import (
    STATEMENT_TIMEOUT_SECONDS,
    STRONG_READ,
    set_up_connections,
)
from asgi_sessions.store.event_loop import require_loop, running_loop
from asgi_sessions.store.failures import (
    DatabaseFailure,
    FailureKind,
    StatementInterrupted,
    classify,
    describe,
    is_lost_node,
)
from asgi_sessions.store.kept_connections import KeptConnections
from asgi_sessions.store.place import Place
from asgi_sessions.store.prepared import Outcome, PreparedStatements

__all__ = [
    "POOL_SIZE",
    "STATEMENT_TIMEOUT_SECONDS",
    "Database",
    "DuplicateKey",
    "Outcome",
    "open_database",
    "parse_database_url",
]

POOL_SIZE = 10
"""Connections per process at most: eight workers stay below MySQL's default of 151."""
POOL_RECYCLE_SECONDS = 1800
"""Below the idle limits of common proxies and firewalls."""
MAX_TRIES = 5

_NOT_TAKEN = "database_url: its driver takes no such host, or no such value of a URL parameter"

_jitter = random.SystemRandom().uniform


class DuplicateKey(Exception):
    """A row with this key exists.

    Attributes:
        after_interruption: An earlier try of the same insert was cut off: the row may be its own.
    """

    def __init__(self, *, after_interruption: bool) -> None:
        super().__init__()
        self.after_interruption = after_interruption


class Database:
    """The engine of one event loop, and the way every statement takes.

    Each operation takes a connection, sends its statement and gives the connection back: no BEGIN, no
    COMMIT, no ROLLBACK, no ping. A connection that died while idle is noticed by its first statement, which
    is repeated on a new one where that is safe.

    Attributes:
        url: The address, for ``upgrade``.
        place: What of it may be shown.
        engine: SQLAlchemy's engine. Autocommit.
        dialect: ``"mysql"`` (MariaDB too), ``"postgresql"`` or ``"sqlite"``.
        statement_timeout: Seconds for one operation, retries included.
    """

    def __init__(self, url: URL, *, statement_timeout: float | None = None) -> None:
        self.url = url
        self.place = Place.of(url)
        self.dialect = url.get_backend_name()
        self.statement_timeout = STATEMENT_TIMEOUT_SECONDS if statement_timeout is None else statement_timeout
        self._loop = running_loop()
        self._has_connected = False
        in_memory = self.dialect == "sqlite" and url.database in (None, "", ":memory:")
        if in_memory:
            self.url = url.set(
                database=f"file:asgi_sessions_{uuid.uuid4().hex}",
                query={"mode": "memory", "cache": "shared", "uri": "true"},
            )
        elif self.dialect == "sqlite":
            _make_file(url)
        self._slots = asyncio.Semaphore(1 if in_memory else POOL_SIZE)
        try:
            self.engine: AsyncEngine = create_async_engine(
                self.url,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
                poolclass=AsyncAdaptedQueuePool,
                pool_size=POOL_SIZE,
                # The pool itself never waits: it would by asyncio.wait_for, which costs a task each time, and which
                # on Python 3.11 loses a cancellation that comes together with a connection.
                max_overflow=-1,
                pool_recycle=-1 if self.dialect == "sqlite" else POOL_RECYCLE_SECONDS,
                pool_use_lifo=True,
                pool_reset_on_return=None,  # nothing to reset where every statement commits itself
                **engine_arguments(self.url),
            )
        except (ModuleNotFoundError, NoSuchModuleError):
            # The extras have the names of the dialects.
            raise ConfigurationError(
                f"database_url: the driver is missing; install asgi-user-sessions[{self.dialect}]"
            ) from None
        except (ArgumentError, TypeError, ValueError):
            raise ConfigurationError(_NOT_TAKEN) from None
        if self.dialect == "sqlite" and not in_memory:
            self._try_file()
        event.listen(self.engine.sync_engine, "connect", self._connected)
        self._connections = KeptConnections(self.engine.sync_engine)
        self._statements = PreparedStatements(self.engine.sync_engine)
        event.listen(self.engine.sync_engine, "handle_error", _mark_lost_connections)
        set_up_connections(self.engine.sync_engine, statement_timeout=self.statement_timeout)
        # A cancelled statement costs its connection, and with the last one a database in memory would be gone.
        address = f"{self.url.database}?mode=memory&cache=shared"
        self._holder = sqlite3.connect(address, uri=True) if in_memory else None

    async def close(self) -> None:
        """Close all connections, those in use when their statement ends. Call it on the loop that opened them.

        Nothing can be run from now on: it raises ``StoreUnavailable``.
        """
        await to_the_end(self._close())

    async def _close(self) -> None:
        try:
            await greenlet_spawn(self._connections.close)
            await self.engine.dispose()
        finally:
            if self._holder is not None:
                self._holder.close()

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
            ConfigurationError: The server is set up so that no value may be sent to it.
        """
        require_loop(self._loop)
        attempt = _Attempt(self._connections, self._statements, statement, parameters, strong=strong)
        try:
            with Deadline(self.statement_timeout):
                result = await self._try(attempt, swap=swap)
        except TimeoutError:
            result = StoreUnavailable(), DatabaseFailure("timeout", phrase=phrase(attempt.waits_for, self.place))
        if isinstance(result, Outcome):
            return result
        # Raised here and not in an except block: __context__ would carry the driver's text along.
        error, cause = result
        raise error from cause

    def _try_file(self) -> None:
        """Open the file once: where that fails aiosqlite leaves a thread that stumbles when the loop ends before it."""
        (file,), options = self.engine.dialect.create_connect_args(self.url)
        try:
            sqlite3.connect(file, uri=options.get("uri", False)).close()
            return
        except sqlite3.Error as error:
            cause = self.describe(error, connecting=True)
        raise self.told(StoreUnavailable(), cause) from cause

    def _connected(self, *_: object) -> None:
        self._has_connected = True

    def describe(self, error: BaseException, *, connecting: bool = False) -> DatabaseFailure:
        """Say what an error of the database layer means here, as the cause of a ``StoreUnavailable``."""
        return describe(error, diagnose(error, self.place, connecting=connecting))

    def told(self, error: StoreUnavailable, cause: BaseException | None = None) -> StoreUnavailable:
        """The same error with the place and the cause in its text: for whoever starts, never for a client.

        Args:
            error: What a statement, or something else at a start, has raised.
            cause: Its cause, where it has none yet.
        """
        cause = error.__cause__ or cause
        if cause is not None and not isinstance(cause, DatabaseFailure):
            return error  # not the database's
        said, where = error.detail.rstrip("."), [str(self.place)]
        if cause is not None and cause.phrase:
            said = f"{said}: {cause.phrase}"
        if str(self.place) in said:  # as a file is
            where.clear()
        if cause is not None:
            where.append(cause.name)
        return StoreUnavailable(f"{said} ({'; '.join(where)}).", retry_after=error.retry_after)

    async def _try(self, attempt: "_Attempt", *, swap: bool) -> "Outcome | tuple[Exception, DatabaseFailure | None]":
        interrupted = False
        for tries in range(1, MAX_TRIES + 1):
            try:
                attempt.waits_for = Cause.ALL_IN_USE
                async with self._slots:
                    return await greenlet_spawn(attempt)
            except ConfigurationError as error:
                return error, None
            except Exception as error:
                connected = attempt.waits_for is Cause.STATEMENT_TIMEOUT
                if not self._has_connected and _is_of_the_arguments(error):
                    return ConfigurationError(_NOT_TAKEN), None
                cause = self.describe(error, connecting=not connected)
                kind = classify(error) if connected else FailureKind.UNAVAILABLE
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
    """Each try in one greenlet: half the cost of AsyncConnection, which enters one per step.

    Attributes:
        waits_for: Why it would be late if its time were over now.
    """

    __slots__ = ("connections", "parameters", "statement", "statements", "strong", "waits_for")

    def __init__(
        self,
        connections: KeptConnections,
        statements: PreparedStatements,
        statement: Executable,
        parameters: Mapping[str, Any] | None,
        *,
        strong: bool,
    ) -> None:
        self.connections = connections
        self.statements = statements
        self.statement = statement
        self.parameters = parameters
        self.strong = strong
        self.waits_for = Cause.ALL_IN_USE

    def __call__(self) -> Outcome:
        self.waits_for = Cause.NO_ANSWER
        connection = self.connections.take()
        self.waits_for = Cause.STATEMENT_TIMEOUT
        try:
            if self.strong and (settings := connection.info.get(STRONG_READ)) is not None:
                outcome = self._strongly(connection, *settings)
            else:
                outcome = self._execute(connection)
        except BaseException:
            self.connections.give_up(connection)
            raise
        self.connections.keep(connection)
        return outcome

    def _execute(self, connection: Connection) -> Outcome:
        return self.statements.execute(connection, self.statement, self.parameters)

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


async def open_database(database_url: str | URL, *, statement_timeout: float | None = None) -> Database:
    """Make the running event loop's engine. Nothing is connected yet: the first statement does that.

    Args:
        database_url: See ``parse_database_url``. ``sqlite+aiosqlite://`` is a database in memory, gone at
            ``close()`` and seen by nobody else.
        statement_timeout: Seconds for one operation, `STATEMENT_TIMEOUT_SECONDS` by default.

    Raises:
        ConfigurationError: The address is unusable, or the driver is not installed.
        StoreUnavailable: SQLite cannot open the file.
    """
    return Database(parse_database_url(database_url), statement_timeout=statement_timeout)


def _make_file(url: URL) -> None:
    if url.database is None or url.database.startswith("file:"):
        return
    if not (folder := Path(url.database).parent).is_dir():
        raise ConfigurationError(f"database_url: the folder {folder} does not exist")
    # It may hold signing keys: for the owner only. SQLite's other files inherit this.
    with suppress(OSError):  # there already; or it cannot be, and SQLite will say so
        os.close(os.open(url.database, os.O_CREAT | os.O_EXCL, 0o600))


def _is_of_the_arguments(error: Exception) -> bool:
    # A certificate that is not trusted is a ValueError too.
    return isinstance(error, TypeError | ValueError) and not isinstance(error, OSError)


def _mark_lost_connections(context: ExceptionContext) -> None:
    original = context.original_exception
    driver_error: type[BaseException] = context.dialect.loaded_dbapi.Error
    if is_lost_node(original):
        context.is_disconnect = True
    elif isinstance(original, Exception) and not isinstance(original, driver_error):
        # A bare OSError from a driver's socket, or its parser stumbling over half an answer.
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = isinstance(original, OSError)
