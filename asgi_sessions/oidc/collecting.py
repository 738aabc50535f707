"""Ends are found by their tombstones, and taken down for each receiver.

What must hold
==============

*Each end is taken down*, on whichever worker and by whichever version the session was ended. A tombstone can be read
only when its statement has been committed, some time after it got its ``revoked_at``. So there is a line, the number
`TOLD_UNTIL` that all workers share: below it all have been taken down. Everything from it on is looked at again every
`FULL_SECONDS`, at the strongest consistency, piece by piece. The line is raised in two steps:

1. The newest end has been seen, and the revocation clock is raised to V, a millisecond later: what begins from now on
   lies at V or above (``store/tombstones.py``), by whichever node's clock.
2. `SETTLED_SECONDS` later all that had begun before has been committed, or never will be. After one more look at
   everything from the old line on, the new one is V.

In a system at rest nothing is written, but once an hour that somebody tells.

*A new end is found at once.* Each time the last `RECENT_MS` before the newest end are looked at, and all after it. That
costs one statement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from asgi_sessions.store.notifications import COLLECT_BATCH, NotificationStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import CLOCK, TombstoneStore
from asgi_sessions.store.untold import TELLER_SEEN, TOLD_UNTIL

__all__ = ["Collector"]

FULL_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 60.0
"""Much longer than a statement may take, and a replica may be behind."""
RECENT_MS: Final = 2_000
"""A statement takes no longer until it is committed, unless the database is in trouble."""
MOST_PAGES: Final = 10
"""Of what is new, and of the look at everything, before others get their turn: of each five thousand ends."""
REST: Final = 10
"""After a look at everything that has taken long the next one comes so many times as much later."""
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


@dataclass(slots=True)
class _Look:
    """A look at everything from the line on.

    Attributes:
        began_at: Seconds.
        place: From where on it is still to be done, ms.
    """

    began_at: float
    place: int


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
        self._look: _Look | None = None
        self._look_at = float("-inf")
        self._next_line: _NextLine | None = None

    async def begin(self) -> None:
        """To be called when it becomes this worker's turn: the line is read, or drawn by the very first one.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        state = await self._state.all()
        line = state.get(TOLD_UNTIL)
        if line is None:
            line = await self._state.settle(TOLD_UNTIL, await self._tombstones.now() - FIRST_MS)
        await self.say_that_somebody_tells()
        self._line, self._newest = line, await self._notifications.newest(line) or line
        self._look, self._look_at, self._next_line = None, float("-inf"), None

    async def say_that_somebody_tells(self) -> None:
        """Keep tombstones from the purge until they have been taken down; to be called now and then."""
        await self._state.raise_to(TELLER_SEEN, await self._tombstones.now())

    async def collect(self) -> tuple[int, bool]:
        """Take down what has ended; returns how many ends were, and whether there may be more.

        Raises:
            StoreUnavailable: The database did not answer. What has been taken down stays.
        """
        new, more = await self._take_down_since(max(self._line, self._newest - RECENT_MS))
        if self._look is None and self._monotonic() >= self._look_at:
            self._look = _Look(self._monotonic(), self._line)
        old = 0 if self._look is None else await self._go_on(self._look)
        return new + old, more or self._look is not None

    async def _go_on(self, look: _Look) -> int:
        """Look at everything from the line on, some pieces further; returns how many ends have been taken down."""
        count = 0
        for _ in range(MOST_PAGES):
            until = await self._notifications.boundary(look.place)
            found, more = await self._take_down_since(look.place, until, strong=True)
            count += found
            if more:
                return count
            if until is None:
                await self._raise_line(look.began_at)
                took = self._monotonic() - look.began_at
                self._look, self._look_at = None, look.began_at + max(FULL_SECONDS, REST * took)
                return count
            look.place = until + 1
        return count

    async def _take_down_since(self, since: int, until: int | None = None, *, strong: bool = False) -> tuple[int, bool]:
        count = 0
        for _ in range(MOST_PAGES):
            found = await self._notifications.uncollected(since, self._receivers, until=until, strong=strong)
            if found:
                for receiver in self._receivers:
                    await self._notifications.add([handle for handle, _ in found], receiver, self._now())
                since = found[-1][1]  # what lies below has been looked at
                self._newest = max(self._newest, since)
                count += len(found)
            if len(found) < COLLECT_BATCH:
                return count, False
        return count, True

    async def _raise_line(self, looked_at: float) -> None:
        """After a look at everything, which began then."""
        following = self._next_line
        if following is not None and looked_at - following.drawn_at >= SETTLED_SECONDS:
            await self._state.lift(TOLD_UNTIL, following.place)
            self._line, self._next_line = max(self._line, following.place), None
            for receiver in self._receivers:
                await self._notifications.forget_delivered(receiver, self._line)
        if self._next_line is None and (newest := await self._notifications.newest(self._line)) is not None:
            await self._state.raise_to(CLOCK, newest + 1)  # where no worker polls there is none yet
            self._next_line = _NextLine(newest + 1, self._monotonic())
