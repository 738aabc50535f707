"""Counts what reaches the database, whichever engine sends it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent inside the block, as SQL, but for those of a worker's background tasks."""
    seen: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not _in_background():
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def _in_background() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop here
        return False
    return task is not None and task.get_name().startswith("asgi_sessions ")
