"""A database that is several nodes, whose clocks differ: one server, asked by engines that shift its time."""

from typing import Any

from sqlalchemy import event

from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import Database


def shift_clock(database: Database, milliseconds: int) -> None:
    """Have an engine's statements see the database's time so much ahead, from now on. Each engine is a node."""
    clock = str(database_now().compile(dialect=database.engine.dialect))
    escaped = clock.replace("%", "%%")

    def shift(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        for text in {clock, escaped}:
            statement = statement.replace(text, f"({text} + ({milliseconds}))")
        return statement, parameters

    event.listen(database.engine.sync_engine, "before_cursor_execute", shift, retval=True)
