"""What a new connection is told once, so that no operation has to say it."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from asgi_sessions.store.mysql_session import mysql_set_up, run

__all__ = ["STATEMENT_TIMEOUT_SECONDS", "set_up_connections"]

STATEMENT_TIMEOUT_SECONDS = 5.0
"""For one operation, its retries included. Drivers would wait for ever for a silent server."""


def set_up_connections(engine: Engine, *, statement_timeout: float, hurried: bool = True) -> None:
    """Have each new connection of an engine set up. Every engine of this package goes through here.

    Args:
        engine: An engine of any dialect.
        statement_timeout: Seconds, after which nobody waits for a statement any more.
        hurried: False lets statements take as long as they need, as changes of large tables must.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", sqlite_set_up(statement_timeout))
    elif engine.dialect.name == "mysql":
        # Before SQLAlchemy looks at the first connection: how it quotes names goes by its sql_mode.
        set_up = mysql_set_up(statement_timeout if hurried else None)
        event.listen(engine, "connect", set_up, insert=True)


def sqlite_set_up(busy_timeout: float) -> Callable[[Any, ConnectionPoolEntry], None]:
    """Return what prepares a new SQLite connection: readers beside the writer, writers that wait for each other.

    Args:
        busy_timeout: How long a writer waits for another, seconds. No longer than its statement may take.
    """

    def set_up(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        run(dbapi_connection, f"PRAGMA busy_timeout = {busy_timeout * 1000:.0f}")
        # Another process may just be switching the file, which no busy_timeout waits for; the mode is the file's.
        with suppress(sqlite3.OperationalError):
            run(dbapi_connection, "PRAGMA journal_mode = WAL")
        # In WAL mode a power cut may cost the last commits, but never the file.
        run(dbapi_connection, "PRAGMA synchronous = NORMAL")

    return set_up
