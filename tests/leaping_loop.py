"""An event loop whose time passes only while nothing else is to be done, or when a test moves it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Leap(selectors.SelectSelector):
    """Leaps to the next timer in place of waiting for it.

    Attributes:
        now: The loop's time, seconds. Who moves it has the loop stand still for so long.
    """

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is not None:
            self.now += max(0.0, timeout)
        return events


def run_leaping(work: Callable[[Leap], Coroutine[Any, Any, T]]) -> T:
    """Run this on such a loop, and return its result."""
    leap = Leap()
    loop = asyncio.SelectorEventLoop(leap)
    loop.time = lambda: leap.now  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(leap))
