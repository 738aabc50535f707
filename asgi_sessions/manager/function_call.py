"""Awaits an async function of the application: in whichever way it ends, nobody else ends with it.

What must hold
==============

*Only a cancellation of the caller cancels the caller.* A function that awaits a task which somebody else has cancelled
ends in a `CancelledError`, too. It has failed, as with any other error.

*A standstill of the event loop takes no function's time.* A loop that goes on runs all timers that are due, before what
waits for an answer can take it: a limit by the clock would cut off all functions that were under way. So each
standstill counts for one beat of the `pulse`, however long it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asgi_sessions.revocation.pulse import BEAT_SECONDS, LATE_SECONDS

__all__ = ["FunctionFailed", "FunctionTimedOut", "result_of"]

T = TypeVar("T")

_STOPS = (KeyboardInterrupt, SystemExit)


class FunctionFailed(Exception):
    """The function has ended in what is no `Exception`; the text says in what, and the cause is it."""


class FunctionTimedOut(FunctionFailed):
    """The function was cancelled, since it took too long."""


async def result_of(function: Callable[..., Awaitable[T]], *arguments: Any, seconds: float) -> T:
    """Call a function of the application, and return what it returns.

    Args:
        function: The function.
        *arguments: What it is given.
        seconds: It is cancelled when it takes longer, standstills of the loop aside.

    Raises:
        FunctionTimedOut: It was.
        FunctionFailed: It has raised what is no `Exception`, and what stops no process.
        Exception: What it has raised.
        CancelledError: The caller was cancelled, and the function has raised that or another error for it.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a function of the application needs a task that can be cancelled")
    before = task.cancelling()
    try:
        async with asyncio.timeout(None) as limit:
            running = _RunningTime(seconds, limit)
            try:
                return await function(*arguments)
            finally:
                running.stop()
    except BaseException as error:
        if _stops_the_process(error) or not _is_running(task):
            raise
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        if limit.expired():
            raise FunctionTimedOut(f"it took longer than {seconds:g} s") from error
        if isinstance(error, Exception):
            raise
        raise FunctionFailed(f"it raised {type(error).__name__}") from error


class _RunningTime:
    """Ends a timeout as soon as the loop has run for so long.

    Args:
        seconds: How long.
        limit: What ends then; it has no end of its own.
    """

    __slots__ = ("_began", "_left", "_limit", "_loop", "_timer", "_waits")

    def __init__(self, seconds: float, limit: asyncio.Timeout) -> None:
        self._left = seconds
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._begin_beat()

    def stop(self) -> None:
        """Count no longer."""
        self._timer.cancel()

    def _begin_beat(self) -> None:
        self._began = self._loop.time()
        self._waits = min(self._left, BEAT_SECONDS)
        self._timer = self._loop.call_later(self._waits, self._end_beat)

    def _end_beat(self) -> None:
        took = self._loop.time() - self._began
        self._left -= self._waits if took > LATE_SECONDS else max(took, self._waits)
        if self._left > 0:
            self._begin_beat()
        else:
            self._limit.reschedule(self._loop.time())


def _stops_the_process(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(_STOPS) is not None
    return isinstance(error, _STOPS)


def _is_running(task: "asyncio.Task[Any]") -> bool:
    """Whether a task goes on: a coroutine that is closed gets a `GeneratorExit` from outside, and may not."""
    try:
        return asyncio.current_task() is task
    except RuntimeError:  # the loop does not run any more
        return False
