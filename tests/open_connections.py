"""Which connections are open in this process, whoever has forgotten them."""

import asyncio
import gc
import sqlite3
import threading

from tests.patience import PATIENCE


def open_sqlite_connections() -> list[sqlite3.Connection]:
    """Those that something refers to. From Python 3.13 on the others warn."""
    gc.collect()
    return [found for found in gc.get_objects() if isinstance(found, sqlite3.Connection) and _is_open(found)]


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def sqlite_threads() -> set[threading.Thread]:
    """aiosqlite's, one for each connection."""
    return {thread for thread in threading.enumerate() if "_connection_worker" in thread.name}


async def have_ended(threads: set[threading.Thread]) -> None:
    """Wait for threads that have been told to end."""
    for thread in threads:
        await asyncio.to_thread(thread.join, PATIENCE)
        assert not thread.is_alive()
