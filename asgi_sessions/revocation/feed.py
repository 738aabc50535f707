"""The revocation feed: every worker learns within one poll who is out, and no request asks the database.

What must hold
==============

*No tombstone is missed*, and none is forgotten by the poll: see `reading`.

*Nobody is served on old news.* Freshness counts from the start of the last good poll, by a clock that nobody can set.
Before the first one there is none. How old it may be depends on why it is:

===========  ===================================================  ====================================================
state        when                                                 requests
===========  ===================================================  ====================================================
current      the loop runs, and polls come to their end           are answered from memory
thawed       the loop has stood still (`pulse`), or the news has  wait for a poll that has begun since
             become too old, and no poll has failed since
failing      polls fail, or were waited for in vain               go on for ``revocation_max_staleness``, then get 503
expecting    all of a user's sessions were ended here, and no     of that user ask the database, each for its own
             poll that has begun since is through yet; it reads   session; all others as before
             what is known as well
===========  ===================================================  ====================================================

`is_good` compares the time with `_good_until`, and everything above is in there: the beat of the pulse that is due,
the end of ``revocation_max_staleness``, or never while something newer is wanted or tombstones are expected. A poll
that fails while the loop stands still says nothing of the database, since a thawed process runs all timers that are due
before it reads what has been answered: such a poll is made again at once.

*Nothing is forgotten too early.* An access token of before the revocation is good for one lifetime, one that a stale
read has let through for another, and a worker may be behind by the staleness that is allowed.

Source: the design of OAuth Status Lists and of certificate revocation; none of both is fast enough for a logout.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.revocation.clocks import ClockAlarm
from asgi_sessions.revocation.liveness_check import LivenessCheck
from asgi_sessions.revocation.memory import RevokedHandles
from asgi_sessions.revocation.pulse import Pulse, machine_seconds
from asgi_sessions.revocation.reading import Reader
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.cancellation import end_task
from asgi_sessions.store.connection_setup import STATEMENT_TIMEOUT_SECONDS
from asgi_sessions.store.failures import DatabaseFailure
from asgi_sessions.store.tombstones import Page, TombstoneStore

__all__ = ["RevocationFeed"]

THAW_SECONDS = STATEMENT_TIMEOUT_SECONDS + 1.0
"""For so long a request waits after a freeze until the database has given something: a second more than it may take."""
WAKE_UP_SECONDS = 1.0
"""For so long it waits where no freeze has made the news old: a database that hangs would take all its time."""
REST_PART = 0.25
"""Of the interval: so long a worker rests after a poll that has taken nearly all of it."""

_log = logging.getLogger(__name__)


class RevocationFeed:
    """One event loop's knowledge of who is out.

    Args:
        settings: How often to poll, and for how long old news is good enough.
        tombstones: Where.
        listeners: Who wants to know at once.
        liveness_check: Of those watched.
        clock: The time, ms: compared with the database's, and used for nothing else.
        kept_ms: For how long tombstones are needed.
        monotonic: Seconds by a clock that nobody can set.
    """

    def __init__(
        self,
        settings: SessionSettings,
        tombstones: TombstoneStore,
        listeners: TerminationListeners,
        liveness_check: LivenessCheck,
        clock: Clock,
        *,
        kept_ms: int,
        monotonic: Callable[[], float] = machine_seconds,
    ) -> None:
        self._listeners = listeners
        self._liveness_check = liveness_check
        self._tombstones = tombstones
        self._monotonic = monotonic
        self._interval = settings.revocation_poll_interval_ms / 1000
        self._most_stale = settings.revocation_max_staleness_ms / 1000
        self._kept_ms = kept_ms
        self._revoked = RevokedHandles(settings.revocation_memory)
        self._unread: set[str] = set()  # what this worker knows by itself, and has not read yet
        self._reader = Reader(tombstones, self._take, self._kept_ms, self._interval, self._now)
        self._alarm = ClockAlarm(tombstones, clock, self._now)
        self._fresh_at = float("-inf")
        self._wanted_from = float("-inf")  # only what a poll that began then, or later, has found is good enough
        self._good_until = float("-inf")
        self._pulse = Pulse(self._now, self._beaten)
        self._thawed_at = float("-inf")
        self._expected: dict[bytes, int] = {}  # by user, the first poll that will have begun since
        self._freezes = self._pages = 0
        self._aged_at = monotonic()
        self._failing = self._refusing = self._overflowing = self._stumbles = False
        self._wake = asyncio.Event()
        self._polling = asyncio.Lock()
        self._maintaining = asyncio.Lock()
        self._maintenance: asyncio.Task[None] | None = None
        self._begun = self._done = self._missed = 0  # polls, counted from 1
        self._task: asyncio.Task[None] | None = None

    # -- what requests ask

    def __contains__(self, handle: str) -> bool:
        """Whether a session is known to be revoked."""
        return handle in self._revoked

    @property
    def staleness(self) -> float:
        """How old the news is, seconds: since the start of the last good poll."""
        return self._monotonic() - self._fresh_at

    def is_revoked(self, handle: str) -> bool:
        """Whether a session is known to be revoked.

        Raises:
            StoreUnavailable: The news is older than ``revocation_max_staleness``.
        """
        if self.is_stale:
            raise StoreUnavailable("The news of revocations is older than revocation_max_staleness.")
        return handle in self._revoked

    def is_good(self, handle: str) -> bool:
        """Whether this worker knows by itself that a session is not revoked: the status "good" of RFC 6960."""
        revoked = self._revoked
        return self._monotonic() <= self._good_until and not revoked.overflowing and not revoked.holds(handle)

    @property
    def is_overflowing(self) -> bool:
        """Whether there were more revocations than ``revocation_memory`` holds: who is not known may yet be out."""
        return self._revoked.overflowing

    @property
    def is_stale(self) -> bool:
        """Whether the news is older than ``revocation_max_staleness``: too old to serve anybody."""
        return self._monotonic() - self._fresh_at > self._most_stale

    # -- what this worker knows by itself

    def add(self, handle: str) -> None:
        """A session that this worker has ended: it counts at once."""
        self._revoked.add(handle)
        self._unread.add(handle)

    def expect_tombstones_of(self, owner: bytes) -> None:
        """This worker has ended some of a user's sessions, without knowing which. It counts at once.

        Until a poll that has begun since is through, each session of the user is asked for (`expects_tombstones_of`).

        Args:
            owner: The stored form of the user's id.
        """
        self._expected[owner] = self._begun + 1
        self._judge()
        self.poll_soon()

    @property
    def expects_tombstones(self) -> bool:
        """Whether `expects_tombstones_of` is true for any user."""
        return bool(self._expected)

    def expects_tombstones_of(self, owner: bytes) -> bool:
        """Whether a user's sessions must be asked for one by one, at the strongest consistency."""
        return owner in self._expected

    async def wait_until_current(self) -> None:
        """Return when the news is as good as it can be: at once, or after the poll that a thawed process waits for."""
        wanted_from = self._look()
        while wanted_from > self._fresh_at and self._wanted_from >= wanted_from:  # else it has failed
            frozen = self._thawed_at >= wanted_from and not self._failing
            seen = self._freezes, self._pages
            try:
                async with asyncio.timeout(THAW_SECONDS if frozen else WAKE_UP_SECONDS):
                    await self._hear()
            except StoreUnavailable:
                return  # it has been logged
            except TimeoutError:
                if seen == (self._freezes, self._pages):
                    self._failed("gets no answer from")

    def poll_soon(self) -> None:
        """Poll now: somebody has ended a session somewhere."""
        self._wake.set()

    # -- the polls

    async def start(self) -> None:
        """Read everything that is still needed, then go on in the background.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        await self.poll()
        self._pulse.start()
        self._judge()
        self._task = asyncio.create_task(self._poll_for_ever(), name="asgi_sessions revocation feed")

    async def stop(self) -> None:
        """End the background work."""
        self._pulse.stop()
        self._judge()
        if self._task is not None:
            await end_task(self._task)
            self._task = None
        if self._maintenance is not None:
            await end_task(self._maintenance)

    async def poll(self) -> None:
        """Read the new tombstones, and then what may wait. Callers that come during a poll share the one after it.

        Raises:
            StoreUnavailable: The database did not answer; nothing that was read is lost.
        """
        newest = await self._hear()
        if newest is not None:
            await self._maintain(newest)

    async def _hear(self) -> Page | None:
        """The part of a poll that requests wait for.

        Returns:
            The newest page; None where another caller has read it.
        """
        wanted = self._begun + 1
        async with self._polling:
            if self._done >= wanted:
                return None  # it began after this call
            if self._missed >= wanted:
                # Likewise: who waited for it need not wait for another.
                raise StoreUnavailable("The revocations could not be read.")
            self._begun = poll = self._begun + 1
            try:
                newest = await self._read_undisturbed()
            except Exception as error:
                self._missed = poll
                first = not self._failing
                self._failed("cannot read", error.__cause__)
                if isinstance(error, StoreUnavailable):
                    raise
                if first:  # else a fault that stays would fill the log
                    _log.exception("The revocation feed stumbled; it goes on.")
                raise StoreUnavailable from error
            self._done = poll
            if self._expected:
                self._expected = {owner: first for owner, first in self._expected.items() if first > poll}
                self._judge()
            self._recovered()
            self._watch_memory()
            return newest

    async def _maintain(self, newest: Page) -> None:
        """The part of a poll that nobody waits for: the news is fresh whatever becomes of it, and the next goes on.

        Nothing where that of an earlier poll is at work.
        """
        if self._maintaining.locked():
            return
        try:
            async with self._maintaining:
                await self._alarm.look(newest)
                await self._reader.maintain(newest)
                await self._liveness_check.go_on(self._fresh_at)
            self._stumbles = False
        except StoreUnavailable:
            pass
        except Exception:
            if not self._stumbles:  # else a fault that stays would fill the log
                _log.exception("The revocation feed stumbled; it goes on.")
            self._stumbles = True

    async def _read_undisturbed(self) -> Page:
        freezes = self._freezes
        try:
            return await self._read()
        except Exception:
            self._look()
            if self._freezes == freezes:
                raise
        return await self._read()  # its time limit, and not the database, may have ended the first one

    async def _read(self) -> Page:
        began = self._monotonic()
        self._forget(began)
        known, pages = self._unread, self._pages
        self._unread = set(known)
        expecting = self.expects_tombstones
        strong = expecting or self._wanted_from > self._fresh_at
        newest = await self._reader.read(strong=strong, wholly=expecting)
        self._unread -= known
        self._fresh_at = began
        self._judge()
        if self._pages - pages > 1 and self._now() - began > self._interval:
            self.poll_soon()  # it has taken long, and the next one will not
        return newest

    def _take(self, handles: Sequence[str]) -> bool:
        self._pages += 1
        new = [handle for handle in handles if self._revoked.add(handle)]
        self._listeners.notify(new)
        # What this worker has ended itself may stand between what it has not read: it ends no reading.
        return bool(new) or not self._unread.isdisjoint(handles)

    def _forget(self, now: float) -> None:
        if now - self._aged_at > self._kept_ms / 1000:
            self._revoked.age()
            self._aged_at = now

    async def _poll_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            woken = self._wake.is_set() and loop.time() < due
            self._wake.clear()  # not before: who wakes it during a poll may come too late for that one
            began = loop.time()
            with suppress(StoreUnavailable):  # it has been logged
                newest = await self._hear()
                if newest is not None and not woken and (self._maintenance is None or self._maintenance.done()):
                    # Not after a wake-up, which makes a poll but no other work; and beside the polls to come:
                    # where it takes long, they are not to be late.
                    self._maintenance = asyncio.create_task(
                        self._maintain(newest), name="asgi_sessions feed, maintenance"
                    )
            if not woken:
                due = max(began + self._interval, loop.time() + REST_PART * self._interval)

    def _now(self) -> float:
        return self._monotonic()

    # -- what the news is good for

    def _judge(self) -> None:
        """To be called whenever one of these has changed."""
        if self._fresh_at < self._wanted_from or self._expected:
            self._good_until = float("-inf")
        else:
            self._good_until = min(self._fresh_at + self._most_stale, self._pulse.good_until)

    def _beaten(self, late: bool) -> None:
        if late:
            self._freezes += 1
            self._thawed_at = self._wanted_from = self._monotonic()
            self.poll_soon()
        self._judge()

    def _look(self) -> float:
        """Since when a poll must have begun for its news to be good enough now."""
        if self._pulse.is_late:
            self._pulse.beat()
        if self.is_stale and not self._failing and self._wanted_from <= self._fresh_at:
            self._wanted_from = self._monotonic()
            self._judge()
        return self._wanted_from

    def _failed(self, what: str, cause: BaseException | None = None) -> None:
        self._wanted_from = float("-inf")  # nobody waits for what does not come
        self._judge()
        if not self._failing:
            self._failing = True
            _log.warning(
                "The revocation feed %s the database%s: its news is %.1f s old. After %g s requests get 503.",
                what,
                f", {cause}" if isinstance(cause, DatabaseFailure) else "",
                self.staleness,
                self._most_stale,
            )
        if not self._refusing and self.is_stale:
            self._refusing = True
            _log.error("The revocation feed's news is %.1f s old: requests with a session get 503.", self.staleness)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = self._refusing = False
            _log.warning("The revocation feed reads the database again.")

    def _watch_memory(self) -> None:
        if self._revoked.overflowing != self._overflowing:
            self._overflowing = self._revoked.overflowing
            if self._overflowing:
                _log.error("More sessions were revoked than revocation_memory holds: requests ask the database.")
            else:
                _log.warning("The revoked sessions fit into revocation_memory again.")
