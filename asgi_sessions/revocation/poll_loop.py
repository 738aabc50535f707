"""The polls in the background.

What must hold
==============

*A poll begins in time.* The next one is due an interval after the last one in time has begun; where that one has taken
nearly all of the interval, a part of it later.

*A wake-up makes a poll, and nothing else.* It moves no poll that is due, and no maintenance follows it: a flood of
wake-ups makes no other work. One that comes during a poll makes another one, since it may have come too late for that.

*No poll waits for maintenance.* It runs beside the polls to come, one at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.revocation.maintenance import Maintenance
from asgi_sessions.store.cancellation import end_task
from asgi_sessions.store.tombstones import Page

__all__ = ["PollLoop"]

REST_PART = 0.25
"""Of the interval: so long a worker rests after a poll that has taken nearly all of it."""


class PollLoop:
    """One event loop's.

    Args:
        interval: Between polls, seconds.
        poll: Makes one; logs its failure itself. Gives the newest page, or None where another caller has read it.
        maintenance: What follows a poll that was due.
    """

    def __init__(self, interval: float, poll: Callable[[], Awaitable[Page | None]], maintenance: Maintenance) -> None:
        self._interval = interval
        self._poll = poll
        self._maintenance = maintenance
        self._woken = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._maintaining: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Poll now."""
        self._woken.set()

    def start(self) -> None:
        """Begin; the first poll is due after an interval."""
        self._polling = asyncio.create_task(self._run(), name="asgi_sessions revocation feed")

    async def stop(self) -> None:
        """End what is under way."""
        if self._polling is not None:
            await end_task(self._polling)
            self._polling = None
        if self._maintaining is not None:
            await end_task(self._maintaining)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._woken.wait()
            is_due = not self._woken.is_set() or loop.time() >= due
            self._woken.clear()  # before the poll: see above
            began = loop.time()
            with suppress(StoreUnavailable):
                newest = await self._poll()
                if newest is not None and is_due:
                    self._maintain(newest)
            if is_due:
                due = max(began + self._interval, loop.time() + REST_PART * self._interval)

    def _maintain(self, newest: Page) -> None:
        if self._maintaining is None or self._maintaining.done():
            self._maintaining = asyncio.create_task(
                self._maintenance.run(newest), name="asgi_sessions feed, maintenance"
            )
