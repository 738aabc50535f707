"""One engine per event loop, set up so that one operation is one autocommit statement and nothing else."""

import asyncio
from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy import URL, Executable, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.settings.database_url import DRIVERS
from asgi_sessions.settings.several_hosts import hosts_of
from asgi_sessions.store.address import engine_arguments, is_pooled, parse_database_url
from asgi_sessions.store.attempt import Attempt
from asgi_sessions.store.cancellation import Deadline, to_the_end
from asgi_sessions.store.causes import Cause, explain, phrase
from asgi_sessions.store.circuit import Circuit
from asgi_sessions.store.connection_setup import STATEMENT_TIMEOUT_SECONDS, set_up_connections
from asgi_sessions.store.event_loop import require_loop, running_loop
from asgi_sessions.store.failures import DatabaseFailure, is_lost_node
from asgi_sessions.store.kept_connections import KeptConnections
from asgi_sessions.store.place import Place
from asgi_sessions.store.prepared import Outcome, PreparedStatements
from asgi_sessions.store.retries import NOT_TAKEN, DuplicateKey, Retries
from asgi_sessions.store.sqlite_place import first_failure, hold_memory, is_in_memory, make_file, shared_memory

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
        is_pooled: Whether the address says that a pooler lends the connections: nothing can be listened to.
        statement_timeout: Seconds for one operation, retries included; a new connection begins them anew twice, when
            the driver has connected, and when all is set up.
    """

    def __init__(self, url: URL, *, statement_timeout: float | None = None) -> None:
        self.url = url
        self.place = Place.of(url)
        self.dialect = url.get_backend_name()
        self.is_pooled = is_pooled(url)
        self._has_others = bool(hosts_of(url))
        self.statement_timeout = STATEMENT_TIMEOUT_SECONDS if statement_timeout is None else statement_timeout
        self._loop = running_loop()
        in_memory = is_in_memory(url)
        if in_memory:
            self.url = shared_memory(url)
        elif self.dialect == "sqlite":
            make_file(url)
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
            extra = DRIVERS[self.dialect].extra
            raise ConfigurationError(
                f"database_url: the driver is missing; install asgi-user-sessions[{extra}]"
            ) from None
        except (ArgumentError, TypeError, ValueError):
            raise ConfigurationError(NOT_TAKEN) from None
        if self.dialect == "sqlite" and not in_memory:
            self._try_file()
        self._circuit = Circuit()
        self._retries = Retries(self._slots, self._circuit, self.place, runs_to_the_end=self.dialect == "mysql")
        event.listen(self.engine.sync_engine, "connect", self._retries.connected)
        self._connections = KeptConnections(self.engine.sync_engine)
        self._statements = PreparedStatements(self.engine.sync_engine)
        event.listen(self.engine.sync_engine, "handle_error", _mark_lost_connections)
        set_up_connections(self.engine.sync_engine, statement_timeout=self.statement_timeout)
        # A cancelled statement costs its connection, and with the last one a database in memory would be gone.
        self._holder = hold_memory(self.url) if in_memory else None

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
            strong: It must see every write acknowledged before, on whichever node (Galera, Group Replication). Two
                more statements there, none elsewhere.

        Raises:
            StoreUnavailable: The database did not do it, or not in time.
            StatementInterrupted: A compare-and-swap was cut off: it may have been done.
            DuplicateKey: An insert's key is taken.
            ConfigurationError: The server is set up so that no value may be sent to it.
        """
        require_loop(self._loop)
        if (refused := self._circuit.refuses()) is not None:
            raise StoreUnavailable from refused
        deadline = Deadline(self.statement_timeout)
        attempt = Attempt(
            self._connections, self._statements, statement, parameters, strong=strong, renew=deadline.renew
        )
        try:
            with deadline:
                result = await self._retries.run(attempt, swap=swap)
        except TimeoutError:
            cause = DatabaseFailure("timeout", phrase=phrase(attempt.waits_for, self.place))
            result = StoreUnavailable(), cause
            if self._has_others and attempt.waits_for is Cause.STATEMENT_TIMEOUT:
                # It may be frozen or cut off: each connection would be waited for as long. Others may answer.
                await greenlet_spawn(self._connections.distrust)
            elif attempt.waits_for is not Cause.ALL_IN_USE:
                self._circuit.failed(cause)
        if isinstance(result, Outcome):
            return result
        # Raised here and not in an except block: __context__ would carry the driver's text along.
        error, reason = result
        raise error from reason

    async def leave(self, cause: Cause) -> NoReturn:
        """Use none of the connections any more that are open now: what has answered is not the server to ask.

        Raises:
            StoreUnavailable: In any case, by this cause.
        """
        await greenlet_spawn(self._connections.distrust)
        raise StoreUnavailable from DatabaseFailure("refused", phrase=phrase(cause, self.place))

    def _try_file(self) -> None:
        """Open the file once: where that fails aiosqlite leaves a thread that stumbles when the loop ends before it."""
        failure = first_failure(self.engine.dialect, self.url)
        if failure is not None:
            cause = self.describe(failure, connecting=True)
            raise self.told(StoreUnavailable(), cause) from cause

    def describe(self, error: BaseException, *, connecting: bool = False) -> DatabaseFailure:
        """Say what an error of the database layer means here, as the cause of a ``StoreUnavailable``."""
        return explain(error, self.place, connecting=connecting)

    def told(self, error: StoreUnavailable, cause: BaseException | None = None) -> StoreUnavailable:
        """The same error with the place and the cause in its text; for the person who starts, never for a client.

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


def _mark_lost_connections(context: ExceptionContext) -> None:
    original = context.original_exception
    driver_error: type[BaseException] = context.dialect.loaded_dbapi.Error
    if is_lost_node(original):
        context.is_disconnect = True
    elif isinstance(original, Exception) and not isinstance(original, driver_error):
        # A bare OSError from a driver's socket, or its parser stumbling over half an answer.
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = isinstance(original, OSError)
