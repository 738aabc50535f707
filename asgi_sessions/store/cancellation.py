"""Cancelling what awaits a database driver."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

__all__ = ["SECOND_CANCELLATION_SECONDS", "Deadline", "end_task", "to_the_end"]

SECOND_CANCELLATION_SECONDS = 1.0
"""Drivers use asyncio.wait_for, which on Python 3.11 loses a cancellation that comes together with an answer: what has
not ended by then is cancelled once more."""


class Deadline:
    """As ``asyncio.timeout``, but what loses the cancellation is cancelled again.

    One timer instead of the two of nested timeouts: every operation pays for this.

    Args:
        seconds: How long the body may take.

    Raises:
        TimeoutError: At the end of the body that was cancelled here and by nobody else.
    """

    __slots__ = ("_before", "_cancelled", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._cancelled = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task that can be cancelled")
        self._task: asyncio.Task[Any] = task
        self._before = task.cancelling()
        self._loop = task.get_loop()
        self._timer = self._loop.call_later(self._seconds, self._cancel)

    def renew(self) -> None:
        """Let the time begin anew, if it is not over: something has come of the waiting."""
        if not self._cancelled:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._seconds, self._cancel)

    def _cancel(self) -> None:
        self._cancelled += 1
        self._task.cancel()
        self._timer = self._loop.call_later(SECOND_CANCELLATION_SECONDS, self._cancel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        for _ in range(self._cancelled):
            self._task.uncancel()
        # Somebody else's cancellation goes on, whatever the time.
        if self._cancelled and kind is asyncio.CancelledError and self._task.cancelling() <= self._before:
            raise TimeoutError from error


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and return when it has ended, in whichever way."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=SECOND_CANCELLATION_SECONDS)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do what must not stop half-way: whatever cancels the caller meanwhile waits until it is done.

    Raises:
        CancelledError: The caller was cancelled; the work is done, or has failed.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
