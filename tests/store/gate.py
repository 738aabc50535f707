"""A statement that takes as long as a test wants it to."""

import asyncio
import threading
from typing import Any

from sqlalchemy import event

from asgi_sessions.store.engine import Database


class Gate:
    """An SQL function for SQLite, ``gate()``: returns 1 once it is open."""

    def __init__(self, database: Database) -> None:
        self._reached, self._opened = threading.Event(), threading.Event()
        event.listen(database.engine.sync_engine, "connect", self._add)

    async def reached(self) -> None:
        """Wait until a statement waits."""
        await asyncio.to_thread(self._reached.wait)

    def open(self) -> None:
        """Let it pass, and all others."""
        self._opened.set()

    def _add(self, connection: Any, _: object) -> None:
        connection.create_function("gate", 0, self._pass)

    def _pass(self) -> int:
        self._reached.set()
        self._opened.wait()
        return 1
