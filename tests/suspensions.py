"""Cancelling a coroutine at each of its suspensions in turn."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Suspensions:
    """Runs a coroutine, and cancels its task at some of its suspensions.

    Attributes:
        count: How often it has waited for something.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *cancel_at: int) -> None:
        self.count = 0
        self._coroutine = coroutine
        self._cancel_at = cancel_at

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        sent: Any = None
        while True:
            try:
                waited_for = inner.send(sent)
            except StopIteration as end:
                return end.value
            while True:
                self.count += 1
                if self.count in self._cancel_at:
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                try:
                    sent = yield waited_for
                    break
                except BaseException as error:
                    try:
                        waited_for = inner.throw(error)
                    except StopIteration as end:
                        return end.value


async def cut_off_at(
    place: int, work: Callable[[], Coroutine[Any, Any, Any]], *, once_more: bool = False
) -> asyncio.Task[None] | None:
    """The task that was cancelled at this suspension, done by now; None where the work had fewer.

    Args:
        place: Which suspension, from 1.
        work: Makes the coroutine.
        once_more: Cancel at the next suspension again, where there is one.
    """
    suspensions = Suspensions(work(), place, *([place + 1] if once_more else []))

    async def run() -> None:
        await suspensions

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if suspensions.count >= place:
        return task
    await task
    return None
