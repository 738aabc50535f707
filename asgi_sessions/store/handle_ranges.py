"""A table in parts, by ranges of session handles: they are random, so that the parts are about equally large."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import Executable

from asgi_sessions.protocol.session_handle import HANDLE_DIGITS, is_handle
from asgi_sessions.store.batches import Pace
from asgi_sessions.store.prepared import Outcome

__all__ = ["WALK_BATCH", "Run", "boundary", "parts_of", "walk"]

Run = Callable[..., Awaitable[Outcome]]
"""`Database.run`."""
WALK_BATCH = 1000
"""Neighbouring rows that one statement goes through."""
MOST_PARTS = 1_000_000
"""Of two thousand million sessions."""


def boundary(part: int, parts: int) -> str:
    """The first handle of a part."""
    return f"{part * 16**HANDLE_DIGITS // parts:0{HANDLE_DIGITS}x}"


async def parts_of(run: Run, handle_in_order: Executable, size: int) -> int:
    """Into how many parts a table is to be divided, so that each has about `size` rows.

    Nobody counts millions of rows within the time of a statement. By how far in the order of handles the first few
    rows reach, all are about so many.

    Args:
        run: As `Database.run`.
        handle_in_order: Selects the handle at a ``place`` of that order.
        size: Rows.
    """
    outcome = await run(handle_in_order, {"place": size - 1}, strong=True)
    if not outcome.rows:
        return 1
    reached: str = outcome.rows[0][0]
    return min(MOST_PARTS, -(-(16**HANDLE_DIGITS) // (int(reached, 16) + 1))) if is_handle(reached) else 1


async def walk(
    run: Run,
    statements: tuple[Executable, Executable],
    values: Mapping[str, Any],
    parts: int,
    *,
    strong: bool = False,
    hurried: bool = True,
) -> AsyncIterator[Outcome]:
    """Run a statement on each part of a table.

    Args:
        run: As `Database.run`.
        statements: One for each part but the last, with the parameters ``first`` and ``beyond``; and the last one's.
        values: Its other parameters.
        parts: How many there are.
        strong: See `Database.run`.
        hurried: Whether not to rest between the parts.
    """
    any_part, last = statements
    pace = Pace()
    for part in range(parts):
        if part and not hurried:
            await pace.rest()
        bounds = {"first": boundary(part, parts) if part else ""}
        if part == parts - 1:
            yield await run(last, {**values, **bounds}, strong=strong)
        else:
            bounds["beyond"] = boundary(part + 1, parts)
            yield await run(any_part, {**values, **bounds}, strong=strong)
