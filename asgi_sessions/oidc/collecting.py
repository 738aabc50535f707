"""Ends are found by their tombstones, and taken down for each receiver.

What must hold
==============

*Each end is taken down*, on whichever worker and by whichever version the session was ended. A tombstone can be read
only when its statement has been committed, some time after it got its ``revoked_at``. So there is a line, the number
`TOLD_UNTIL` that all workers share: below it all have been taken down. Everything above it is looked at again every
`FULL_SECONDS`, at the strongest consistency. The line is raised in two steps:

1. The newest end has been seen, and the revocation clock is raised to V, a millisecond later: what begins from now on
   lies at V or above (``store/tombstones.py``), by whichever node's clock.
2. `SETTLED_SECONDS` later all that had begun before has been committed, or never will be. After one more look at
   everything from the old line on, the new one is V.

In a system at rest nothing is written.

*A new end is found at once.* Between these looks only the last `RECENT_MS` below the newest end are looked at, which
costs one statement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from asgi_sessions.store.notifications import COLLECT_BATCH, NotificationStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import CLOCK, TOLD_UNTIL, TombstoneStore

__all__ = ["Collector"]

FULL_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 60.0
"""Much longer than a statement may take, and a replica may be behind."""
RECENT_MS: Final = 5_000
MOST_PAGES: Final = 20
"""Before others get their turn: five thousand ends."""
FIRST_MS: Final = 60_000
"""What has ended so long before there was a notifier is told too: nodes' clocks may differ by so much."""


@dataclass(frozen=True, slots=True)
class _NextLine:
    """Where the line will be.

    Attributes:
        place: Just above the newest end at one of the looks, ms.
        drawn_at: When the revocation clock had been raised to it, seconds.
    """

    place: int
    drawn_at: float


class Collector:
    """Takes ends down. To be used by one worker at a time; two at once do no harm.

    Args:
        notifications: Where they are taken down.
        tombstones: Where they are found.
        state: Where the line is kept.
        receivers: The audiences of those who are to be told.
        now: ms.
        monotonic: Seconds, by a clock that nobody sets.
    """

    def __init__(
        self,
        notifications: NotificationStore,
        tombstones: TombstoneStore,
        state: StateStore,
        receivers: Sequence[str],
        now: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._notifications = notifications
        self._tombstones = tombstones
        self._state = state
        self._receivers = receivers
        self._now = now
        self._monotonic = monotonic
        self._line = self._newest = 0
        self._full_at = float("-inf")
        self._next_line: _NextLine | None = None

    async def begin(self) -> None:
        """To be called when it becomes this worker's turn: the line is read, or drawn by the very first one.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        line = (await self._state.all()).get(TOLD_UNTIL)
        if line is None:
            line = await self._state.settle(TOLD_UNTIL, await self._tombstones.now() - FIRST_MS)
        self._line = self._newest = line
        self._full_at, self._next_line = float("-inf"), None

    async def collect(self) -> tuple[int, bool]:
        """Take down what has ended; returns how many ends were, and whether there may be more.

        Raises:
            StoreUnavailable: The database did not answer. What has been taken down stays.
        """
        began = self._monotonic()
        full = began - self._full_at >= FULL_SECONDS
        since = self._line if full else max(self._line, self._newest - RECENT_MS)
        count = 0
        for _ in range(MOST_PAGES):
            found = await self._notifications.uncollected(since, self._receivers, strong=full)
            if found:
                await self._take_down([handle for handle, _ in found])
                self._newest = max(self._newest, found[-1][1])
                count += len(found)
            if len(found) < COLLECT_BATCH:
                break
        else:
            return count, True
        if full:
            await self._raise_line(began)
            self._full_at = began
        return count, False

    async def _take_down(self, handles: Sequence[str]) -> None:
        for receiver in self._receivers:
            await self._notifications.add(handles, receiver, self._now())

    async def _raise_line(self, looked_at: float) -> None:
        """After a look at everything above the line, which began then."""
        following = self._next_line
        if following is not None and looked_at - following.drawn_at >= SETTLED_SECONDS:
            await self._state.lift(TOLD_UNTIL, following.place)
            self._line, self._next_line = max(self._line, following.place), None
            await self._notifications.forget_delivered(self._line)
        if self._next_line is None and (newest := await self._notifications.newest(self._line)) is not None:
            await self._state.raise_to(CLOCK, newest + 1)  # where no worker polls there is none yet
            self._next_line = _NextLine(newest + 1, self._monotonic())
