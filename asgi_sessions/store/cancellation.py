"""Cancelling what awaits a database driver."""

import asyncio
from typing import Any

__all__ = ["SECOND_CANCELLATION_SECONDS", "end_task"]

SECOND_CANCELLATION_SECONDS = 1.0
"""Drivers use asyncio.wait_for, which on Python 3.11 loses a cancellation that comes together with an answer: what has
not ended by then is cancelled once more."""


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and return when it has ended, in whichever way."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=SECOND_CANCELLATION_SECONDS)
