"""Awaits an async function of the application: in whichever way it ends, nobody else ends with it.

*Only a cancellation of the caller cancels the caller.* A function that awaits a task which somebody else has cancelled
ends in a `CancelledError`, too. It has failed, as with any other error.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

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
        seconds: It is cancelled when it takes longer.

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
        async with asyncio.timeout(seconds) as limit:
            return await function(*arguments)
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
