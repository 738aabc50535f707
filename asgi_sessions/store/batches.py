"""Background work on many rows goes in batches, and leaves half of the time to users."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import Executable

from asgi_sessions.store.prepared import Outcome

__all__ = ["PURGE_BATCH", "Pace", "delete_in_batches"]

PURGE_BATCH = 250
"""Rows of one delete. They come from as many pages: with 1000 of a million, the slowest hundredth of all refreshes
took three to eight times as long as without a purge."""

_monotonic = time.monotonic
_rest = asyncio.sleep


class Pace:
    """Rests between the parts of a job, each time for as long as the part has taken."""

    def __init__(self) -> None:
        self._began = _monotonic()

    async def rest(self) -> None:
        """To be called between two parts."""
        await _rest(_monotonic() - self._began)
        self._began = _monotonic()


async def delete_in_batches(
    run: Callable[..., Awaitable[Outcome]],
    keys: Executable,
    deletion: Executable,
    values: Mapping[str, Any],
    *,
    limit: int | None = None,
    after: Executable | None = None,
) -> int:
    """Select keys by index, then delete by key, with the condition checked again; return how many were deleted.

    Args:
        run: As `Database.run`.
        keys: Selects ``batch`` keys.
        deletion: Deletes those of ``keys`` that are still to be deleted.
        values: The other parameters of both.
        limit: How many at most.
        after: Deletes what belongs to those of ``keys`` that are gone.
    """
    count, pace = 0, Pace()
    while limit is None or count < limit:
        batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - count)
        found = [key for (key,) in (await run(keys, {**values, "batch": batch})).rows]
        if found:
            count += (await run(deletion, {**values, "handles": found})).rowcount
            if after is not None:
                await run(after, {"handles": found})
        if len(found) < batch or count == limit:
            break
        await pace.rest()
    return count
