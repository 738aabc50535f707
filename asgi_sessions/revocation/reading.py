"""What a poll reads: tombstones, newest first, down to those that earlier polls have read.

Between them stand the changes of payloads, of which all that is said here of tombstones holds as well.

So a poll costs what is new, and not what is there.

What must hold
==============

*No tombstone is missed.* A statement that ends sessions can be read only when it has been committed, some time after it
began, perhaps on another node. By the revocation clock (``store/tombstones.py``) it writes no ``revoked_at`` below what
a poll had read `OVERLAP_MS` before. So everything down to there is read:

* Each poll reads the newest page. It reads further for as long as a page holds news, or is one of the first
  `SETTLE_PAGES` and may hold what began within `SETTLE_SECONDS` before the last poll.
* What lies deeper is read again in pieces, some pages twice a second.
* All that is still needed is read again every `FULL_READ_SECONDS`. That finds a statement that was committed later
  than the overlap allows for, some polls later.
* A poll that must find all that has been committed by now reads everything at once.

*A node that is cut off from its cluster gives no news.* It goes on answering reads, some engines for ever. So news is
read at the strongest consistency: only a node that reaches the majority answers that.

*Only what has been read to its end counts.* A read that was cut off leaves a gap, the place where it has to go on.
While there is a gap the news is not fresh.

*A long read does not hold up the newest tombstones.* A hundred thousand tombstones take a second. Meanwhile the top is
read again, but only down to a page without news, so that it comes to an end.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store.connection_setup import STATEMENT_TIMEOUT_SECONDS
from asgi_sessions.store.tombstones import PAGE_SIZE, TOP, Page, Position, TombstoneStore

__all__ = ["FULL_READ_SECONDS", "OVERLAP_MS", "Reader"]

REPLICATION_LAG_MS = 10_000
"""A replica that is further behind is found by the full read."""
OVERLAP_MS = round(STATEMENT_TIMEOUT_SECONDS * 1000) + REPLICATION_LAG_MS + 5_000
FULL_READ_SECONDS = 30.0
SETTLE_SECONDS = 2.0
"""A statement takes no longer until it is committed, unless the database is in trouble."""
SETTLE_PAGES = 5
"""While thousands of sessions end in a second."""
PAGES_PER_SECOND = 40
"""Of the full read: more than a million tombstones in half a minute, and a tenth of a worker's time."""
PIECE_PAGES_PER_SECOND = 10
"""Of what lies deeper."""
TOP_SECONDS = 0.25
"""So long after it has been looked at, the top is looked at again while more is being read."""
CLOCK_STEP_MS = 10_000
CLOCK_STEP_ROWS = PAGE_SIZE
"""The revocation clock is raised when the newest tombstone is so far above it, or so many are: each poll reads them."""
MOST_GAPS = 8


@dataclass
class _Gap:
    """Where tombstones are still to be read.

    Attributes:
        place: From where.
        to_the_end: Whether all the way down; else down to a page without news.
        patience: How many pages without news are passed on the way, above what is settled.
    """

    place: Position
    to_the_end: bool = False
    patience: int = 0


class Reader:
    """Reads tombstones for the feed of one event loop.

    Args:
        tombstones: The store from which tombstones are read.
        take: Takes what a page says; returns whether any of it is news.
        kept_ms: For how long a tombstone is needed.
        interval: Between polls, seconds.
        monotonic: Seconds by a clock that nobody can set.
    """

    def __init__(
        self,
        tombstones: TombstoneStore,
        take: Callable[[Page], bool],
        kept_ms: int,
        interval: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._tombstones = tombstones
        self._take = take
        self._needed_seconds = (kept_ms + OVERLAP_MS) / 1000
        self._kept_ms = kept_ms
        self._monotonic = monotonic
        self._pages_again = max(1, round(PAGES_PER_SECOND * interval))
        self._pages_deeper = max(1, round(PIECE_PAGES_PER_SECOND * interval))
        self._good_at = self._full_at = float("-inf")
        self._clocks: deque[tuple[float, int]] = deque()  # what the revocation clock was, and when that was read
        self._floor = 0  # as this worker knows it
        self._since = self._settled = 0
        self._gaps = [_Gap(TOP, to_the_end=True)]
        self._deeper: Position | None = None  # of the overlap, how far its pieces have come
        self._again: Position | None = None  # of the full read
        self._again_since = 0

    async def read(self, *, wholly: bool = False) -> Page:
        """Read all that could have appeared since the last complete read.

        Args:
            wholly: Read what is known as well: pages without news may lie above a statement that was committed late.

        Returns:
            The newest page.

        Raises:
            StoreUnavailable: The database did not answer; nothing that was read is lost.
        """
        began = self._monotonic()
        if not self._clocks:
            self._floor = await self._tombstones.floor(self._kept_ms)
            self._clocks.append((float("-inf"), self._floor))
            self._since = self._floor
        since = self._clock_at(self._good_at - OVERLAP_MS / 1000)
        self._since = min(since, self._since) if self._gaps else since
        if wholly:
            self._gaps = [_Gap(TOP, to_the_end=True)]
        first = self._good_at == float("-inf")
        self._settled = self._clock_at(self._good_at - SETTLE_SECONDS)
        newest = await self._look_at_the_top(SETTLE_PAGES - 1)
        looked_at = self._monotonic()
        while self._gaps:
            await self._go_on_with_a_gap()
            if self._gaps and self._monotonic() - looked_at >= TOP_SECONDS:
                await self._look_at_the_top()
                looked_at = self._monotonic()
        self._good_at = began
        if first:
            self._full_at = began
        return newest

    async def maintain(self, newest: Page) -> None:
        """Do what need not be done before the news is fresh: raise the revocation clock, read pieces, read all again.

        Args:
            newest: What `read` has returned.

        Raises:
            StoreUnavailable: The database did not answer; the next call goes on.
        """
        await self._raise_clock(newest)
        if self._deeper is None:
            self._deeper = newest.next
        for _ in range(self._pages_deeper):
            if self._deeper is None:
                break
            self._deeper = (await self._page(self._deeper, self._since)).next
        await self._read_again()

    # -- the descent

    async def _look_at_the_top(self, patience: int = 0) -> Page:
        asked_at = self._monotonic()
        page, news = await self._read_page(TOP, self._since, strong=True)
        if page.clock > self._clocks[-1][1]:  # less on a node that lags
            self._clocks.append((asked_at, page.clock))
        if page.next is None:
            self._gaps.clear()
        elif self._gaps and self._gaps[-1].place == TOP:
            self._gaps[-1].place = page.next
        elif news or (patience and page.next.revoked_at >= self._settled):
            self._gaps.append(_Gap(page.next, patience=patience))
            if len(self._gaps) > MOST_GAPS:
                self._gaps = [_Gap(page.next, to_the_end=True)]
        return page

    async def _go_on_with_a_gap(self) -> None:
        gap = self._gaps[-1]  # the newest one, above all others
        page, news = await self._read_page(gap.place, self._since, strong=True)
        if page.next is None:
            self._gaps.clear()
        elif not news and not gap.to_the_end and (not gap.patience or page.next.revoked_at < self._settled):
            self._gaps.pop()
        else:
            gap.place = page.next
            gap.patience = max(0, gap.patience - (not news))
            while len(self._gaps) > 1 and gap.place <= self._gaps[-2].place:  # it has come to the one below
                below = self._gaps.pop(-2)
                gap.to_the_end |= below.to_the_end
                gap.patience = max(gap.patience, below.patience)

    async def _read_page(self, place: Position, since: int, *, strong: bool) -> tuple[Page, bool]:
        page = await self._tombstones.page(place, since, strong=strong)
        return page, self._take(page)

    # -- what is read again

    async def _page(self, place: Position, since: int) -> Page:
        return (await self._read_page(place, since, strong=False))[0]

    async def _read_again(self) -> None:
        """Go on with the full read by some pages: a poll must not take the time that a million tombstones take."""
        now = self._monotonic()
        if self._again is None and now - self._full_at >= FULL_READ_SECONDS:
            self._again, self._again_since = TOP, self._clock_at(now - self._needed_seconds)
            self._full_at = now
            self._forget_clocks(now)
            if self._again_since - self._floor > CLOCK_STEP_MS:
                await self._tombstones.raise_floor(self._again_since, self._kept_ms)
                self._floor = self._again_since
        for _ in range(self._pages_again):
            if self._again is None:
                return
            self._again = (await self._page(self._again, self._again_since)).next

    # -- the revocation clock

    def _clock_at(self, moment: float) -> int:
        """The revocation clock as it was read at a moment, or last before it."""
        return next(value for read_at, value in reversed(self._clocks) if read_at <= moment or read_at == float("-inf"))

    def _forget_clocks(self, now: float) -> None:
        while len(self._clocks) > 1 and self._clocks[1][0] <= now - self._needed_seconds:
            self._clocks.popleft()
        if self._clocks[0][0] <= now - self._needed_seconds:
            self._clocks[0] = (float("-inf"), self._clocks[0][1])

    async def _raise_clock(self, page: Page) -> None:
        newest = page.newest
        if newest is not None and (newest - page.clock > CLOCK_STEP_MS or page.above_clock >= CLOCK_STEP_ROWS):
            with suppress(StoreUnavailable):  # the next poll tries again
                await self._tombstones.raise_clock(newest + 1)
