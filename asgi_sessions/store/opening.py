"""Opening connections so that a cancellation leaves none behind: for SQLAlchemy's ``async_creator_fn``.

asyncmy needs no help: what it was opening is closed when it is cancelled.
"""

import asyncio
import functools
import sqlite3
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["drop_postgresql", "drop_what_came", "open_postgresql", "open_sqlite"]

ABANDON_SECONDS = 1.0
"""For so long a cancellation waits for asyncpg to have finished."""


class SQLiteConnection(sqlite3.Connection):
    """A connection whose ``close()`` ends what was not finished.

    SQLite keeps a closed connection, and its locks, while a statement of it is unfinished. A cancelled one is: its
    cursor keeps it, the traceback of the ``CancelledError`` keeps the cursor, and the next writer waits.
    """

    _latest: Callable[[], sqlite3.Cursor | None] | None = None

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        cursor = super().cursor(*args, **kwargs)
        self._latest = weakref.ref(cursor)  # SQLAlchemy reads all rows of one before it has another
        return cursor

    def close(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None and (cursor := latest()) is not None:
            cursor.close()
        super().close()


async def open_sqlite(*args: Any, **kwargs: Any) -> Any:
    """As ``aiosqlite.connect``.

    That opens in a thread. Where it is cancelled meanwhile, it forgets what the thread is about to give it: a
    connection that nobody closes, and a thread that answers to a loop that may be gone.
    """
    import aiosqlite  # noqa: PLC0415 - an extra

    opened: list[SQLiteConnection] = []

    def remembered(*args: Any, **kwargs: Any) -> SQLiteConnection:
        opened.append(connection := SQLiteConnection(*args, **kwargs))
        return connection

    opening: Any = aiosqlite.connect(*args, **{**kwargs, "factory": remembered, "check_same_thread": False})
    thread = opening._thread
    thread.daemon = True  # as SQLAlchemy has it: a process may end without a stop
    try:
        connection = await opening
    except BaseException:
        thread.join()  # it has next to nothing to do: SQLite touches the file with the first statement
        for forgotten in opened:
            forgotten.close()
        raise
    if hasattr(connection, "stop"):
        # SQLAlchemy calls it where the close is cancelled, aiosqlite once more where the close ends all the same: and
        # would wait for ever for a thread that has ended already.
        connection.stop = functools.cache(connection.stop)
    return connection


async def open_postgresql(*args: Any, **kwargs: Any) -> Any:
    """As ``asyncpg.connect``, which stumbles over the end of a connection that is given up half-way."""
    import asyncpg  # noqa: PLC0415 - an extra

    opening = asyncio.ensure_future(asyncpg.connect(*args, **kwargs))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(functools.partial(drop_what_came, drop=drop_postgresql))
        try:
            await asyncio.wait([opening], timeout=ABANDON_SECONDS)
        finally:
            opening.cancel()
        raise


def drop_what_came(opening: "asyncio.Future[Any]", *, drop: Callable[[Any], None]) -> None:
    """Close the connection that an opening which nobody waits for has given all the same, if it has."""
    if not opening.cancelled() and opening.exception() is None:
        drop(opening.result())


def drop_postgresql(connection: Any) -> None:
    """Close a connection at once, without a farewell."""
    connection.terminate()
