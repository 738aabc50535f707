"""Connections that stay checked out between operations.

SQLAlchemy's check-out and check-in, with its Connection, its begin and a rollback that does nothing, cost as much as
a statement.
"""

import itertools
import time
from collections.abc import Callable
from contextvars import ContextVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from asgi_sessions.store.plain_rows import with_plain_rows

__all__ = ["KEEP_SECONDS", "KeptConnections"]

KEEP_SECONDS = 30.0
"""How long a connection is used before the pool sees it again: it recycles connections by age, and what is said to
SQLAlchemy's loggers counts from a check-out."""


_progress: ContextVar[Callable[[], None]] = ContextVar("progress of opening a connection")
"""Where an opening that is under way tells of each step. The pool's listeners get nothing of who asked for it."""


class DatabaseClosed(Exception):
    """There are no connections any more."""


class KeptConnections:
    """A pool's connections, those in use and those that wait to be used again.

    The pool stays the one who opens, ages, refuses and closes connections. Here is only kept what has just worked.
    After any failure nothing is kept that was there before: all goes back to the pool, which knows which of its
    connections are no longer to be used. Call everything in a greenlet of SQLAlchemy's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        event.listen(engine, "connect", _told, insert=True)
        event.listen(engine, "connect", _number)
        self._idle: list[Connection] = []
        self._until: dict[Connection, float] = {}
        self._opened_after = 0
        self._closed = False

    def take(self, progress: Callable[[], None]) -> Connection:
        """Return a connection, to be given to `keep` or to `give_up`. Autocommit: it is in no transaction.

        Args:
            progress: Called after each step of opening a new one, of which each takes some round trips: the driver has
                connected; SQLAlchemy has looked at the server.

        Raises:
            DatabaseClosed: After `close`.
        """
        if self._idle:
            connection = self._idle.pop()  # the last one used, so that those that are not needed grow old
            if time.monotonic() < self._until[connection]:
                return connection
            del self._until[connection]
            connection.close()
        if self._closed:
            raise DatabaseClosed
        before = _progress.set(progress)
        try:
            connection = self._engine.connect()
            while connection.info[_OPENED] < self._opened_after:
                _discard(connection)
                connection = self._engine.connect()
        finally:
            _progress.reset(before)
        connection = with_plain_rows(connection)
        progress()
        if not self._closed:
            self._until[connection] = time.monotonic() + KEEP_SECONDS
        return connection

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose statement was done."""
        if connection in self._until and not connection.invalidated:
            self._idle.append(connection)
        else:
            self._give_back(connection)

    def give_up(self, connection: Connection) -> None:
        """Take back a connection whose statement failed or was cut off. Nothing kept from before is trusted."""
        try:
            self._give_all_back()
        finally:
            self._give_back(connection)

    def distrust(self) -> None:
        """Use no connection any more that is open now: its server is not the one to ask."""
        self._opened_after = next(_numbers)
        self._give_all_back()

    def close(self) -> None:
        """Give all connections to the pool, which is to be closed then; those in use are closed when they come back."""
        self._closed = True
        self._give_all_back()

    def _give_all_back(self) -> None:
        self._until.clear()
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        self._until.pop(connection, None)
        if self._closed:
            connection.invalidate()  # the pool would keep it, and nobody closes that a second time
        connection.close()


def _discard(connection: Connection) -> None:
    # Else SQLAlchemy has asyncpg wait two seconds for the server's farewell.
    if (terminate := getattr(connection.connection.driver_connection, "terminate", None)) is not None:
        terminate()
    connection.invalidate()
    connection.close()


_OPENED = "asgi_sessions.opened"
"""Where a connection's ``info`` keeps its number: of two the later one has the higher."""
_numbers = itertools.count(1)


def _told(*_: object) -> None:
    progress = _progress.get(None)
    if progress is not None:
        progress()


def _number(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_OPENED] = next(_numbers)
