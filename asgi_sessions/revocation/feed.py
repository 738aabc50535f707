"""The revocation feed: every worker knows within one poll what is revoked, and no request asks the database.

In the same way it knows which payloads were changed by others than the session's own response (``noted_sessions``).

What must hold
==============

*No tombstone is missed*, and none is forgotten by the poll: see `reading`.

*Nobody is served on old news*: see `freshness`. A poll that fails while the loop stands still says nothing of the
database, since a thawed process runs all timers that are due before it reads what has been answered: such a poll is
made again at once.

*A session that this worker has ended itself counts as revoked at once*: see `own_revocations`. If a statement has ended
some of a user's sessions, or of everybody's, the worker does not know which. It asks the database for each session of
that user, or for each session, until a poll that has begun since has read the tombstones.

*No tombstone is forgotten too early.* An access token that was issued before the revocation is good for one lifetime.
One that a stale read has let through is good for another. And a worker may be behind by the staleness that is allowed.

Source: the design of OAuth Status Lists and of certificate revocation; none of both is fast enough for a logout. The
states of a session are those of RFC 6960 (OCSP), section 2.2: good, revoked, and unknown here, so that the database is
asked.
"""

import asyncio
from collections.abc import Callable

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.revocation.clock_alarm import ClockAlarm
from asgi_sessions.revocation.feed_log import FeedLog
from asgi_sessions.revocation.freshness import Freshness
from asgi_sessions.revocation.liveness_sweep import LivenessSweep
from asgi_sessions.revocation.maintenance import Maintenance
from asgi_sessions.revocation.noted_sessions import NotedSessions
from asgi_sessions.revocation.own_revocations import OwnRevocations
from asgi_sessions.revocation.poll_loop import PollLoop
from asgi_sessions.revocation.pulse import machine_seconds
from asgi_sessions.revocation.reading import Reader
from asgi_sessions.revocation.shared_polls import SharedPolls
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.connection_setup import STATEMENT_TIMEOUT_SECONDS
from asgi_sessions.store.tombstones import Page, TombstoneStore

__all__ = ["RevocationFeed"]

THAW_SECONDS = STATEMENT_TIMEOUT_SECONDS + 1.0
"""For so long a request waits after a freeze until the database has given something: a second more than it may take."""
WAKE_UP_SECONDS = 1.0
"""For so long it waits where the news is old without a freeze: a database that hangs must not take all its time."""


class RevocationFeed:
    """One event loop's knowledge of revoked sessions.

    Args:
        settings: How often to poll, and for how long old news is good enough.
        tombstones: The store from which tombstones are read.
        listeners: Called at once when a session is known to have ended.
        liveness_sweep: Looks up the sessions that have a listener.
        clock: The time, ms: compared with the database's, and used for nothing else.
        kept_ms: For how long tombstones are needed.
        monotonic: Seconds by a clock that nobody can set.
    """

    def __init__(
        self,
        settings: SessionSettings,
        tombstones: TombstoneStore,
        listeners: TerminationListeners,
        liveness_sweep: LivenessSweep,
        clock: Clock,
        *,
        kept_ms: int,
        monotonic: Callable[[], float] = machine_seconds,
    ) -> None:
        self._listeners = listeners
        self._tombstones = tombstones
        self._monotonic = monotonic
        self._interval = settings.revocation_poll_interval_ms / 1000
        self._kept_ms = kept_ms
        most_stale = settings.revocation_max_staleness_ms / 1000
        self._noted = NotedSessions(settings.revocation_memory)
        self._handles = self._noted.handles  # at hand for `is_good`, which every request asks
        self._own = OwnRevocations()
        self._freshness = Freshness(most_stale, self._now, self.poll_soon)
        self._reader = Reader(tombstones, self._take, kept_ms, self._interval, self._now)
        self._pages = 0  # that were read
        self._aged_at = monotonic()
        self._told = FeedLog(manager_log(__name__, settings), most_stale)
        alarm = ClockAlarm(tombstones, clock, self._now)
        self._maintenance = Maintenance(alarm, self._reader, liveness_sweep, self._told, self._now)
        self._polls = SharedPolls(self._poll)
        self._loop = PollLoop(self._interval, self._polls.join, self._maintenance)

    # -- what requests ask

    def __contains__(self, handle: str) -> bool:
        """Whether a session is known to be revoked."""
        return self._noted.is_revoked(handle)

    def is_good(self, handle: str) -> bool:
        """Whether this worker knows by itself that a session is not revoked, and nothing of a change of its payload."""
        return (
            self._monotonic() <= self._freshness.answers_until
            and not self._handles.overflowing
            and not self._handles.holds(handle)
        )

    def is_revoked(self, handle: str) -> bool:
        """Whether a session is known to be revoked.

        Raises:
            StoreUnavailable: The news is older than ``revocation_max_staleness``.
        """
        if self._freshness.is_stale:
            raise StoreUnavailable("The news of revocations is older than revocation_max_staleness.")
        return handle in self

    def payload_version(self, handle: str) -> int:
        """A version that a session's payload has at least; 0 where nothing is known of a change."""
        return self._noted.payload_version(handle)

    @property
    def is_overflowing(self) -> bool:
        """Whether there was more than ``revocation_memory`` holds: any session may yet be revoked or changed."""
        return self._handles.overflowing

    @property
    def staleness(self) -> float:
        """How old the news is, seconds: since the start of the last good poll."""
        return self._freshness.staleness

    async def wait_until_current(self) -> None:
        """Return when the news is as good as it can be: at once, or after the poll that a thawed process waits for."""
        required = self._freshness.required_from()
        while self._freshness.is_awaited(required):
            seconds = THAW_SECONDS if self._freshness.has_thawed_since(required) else WAKE_UP_SECONDS
            seen = self._freshness.freezes, self._pages
            try:
                async with asyncio.timeout(seconds):
                    await self._polls.join()
            except StoreUnavailable:
                return  # it has been logged
            except TimeoutError:
                if seen == (self._freshness.freezes, self._pages):
                    self._failed("gets no answer from")

    # -- what this worker has ended itself

    def add(self, handle: str) -> None:
        """A session that this worker has ended: it counts at once."""
        self._noted.revoked(handle)
        self._own.add(handle)

    def payload_changed(self, handle: str, version: int) -> None:
        """This worker has changed a session's payload: no token with an older one counts as seen from now on.

        Args:
            handle: The session.
            version: The payload's, or one below it.
        """
        self._noted.payload_changed(handle, version)
        self._own.add(handle)

    def expect_tombstones_of(self, owner: bytes | None) -> None:
        """This worker has ended some of a user's sessions, without knowing which. It counts at once.

        Until a poll that has begun since is through, each session of the user is asked for (`expects_tombstones_of`).

        Args:
            owner: The stored form of the user's id; None for sessions of anybody.
        """
        if owner is None:
            self._own.add_everybody(found_by=self._polls.begun + 1)
        else:
            self._own.add_user(owner, found_by=self._polls.begun + 1)
        self._freshness.expect(True)
        self.poll_soon()

    @property
    def expects_tombstones(self) -> bool:
        """Whether `expects_tombstones_of` is true for any user."""
        return self._own.has_users

    def expects_tombstones_of(self, owner: bytes) -> bool:
        """Whether a user's sessions must be asked for one by one, at the strongest consistency."""
        return self._own.has_user(owner)

    # -- the polls

    async def start(self) -> None:
        """Read everything that is still needed, then go on in the background.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        await self.poll()
        self._freshness.start()
        self._loop.start()

    async def stop(self) -> None:
        """End the background work."""
        self._freshness.stop()
        await self._loop.stop()

    def poll_soon(self) -> None:
        """Poll now, in the background: somebody has ended a session somewhere."""
        self._loop.wake()

    async def poll(self) -> None:
        """Read the new tombstones, and then what may wait. Callers that come during a poll share the one after it.

        Raises:
            StoreUnavailable: The database did not answer; nothing that was read is lost.
        """
        newest = await self._polls.join()
        if newest is not None:
            await self._maintenance.run(newest)

    async def _poll(self, number: int) -> Page:
        """The part of a poll that requests wait for; returns the newest page."""
        try:
            newest = await self._read_undisturbed()
        except Exception as error:
            self._failed("cannot read", error)
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable from error
        if self._own.has_users:
            self._own.forget_users(number)
            self._freshness.expect(self._own.has_users)
        self._freshness.recovered()
        self._told.recovered()
        self._told.memory(overflowing=self._handles.overflowing)
        return newest

    async def _read_undisturbed(self) -> Page:
        freezes = self._freshness.freezes
        try:
            return await self._read()
        except Exception:
            self._freshness.required_from()  # notices a freeze
            if self._freshness.freezes == freezes:
                raise
        return await self._read()  # its time limit, and not the database, may have ended the first one

    async def _read(self) -> Page:
        began, pages, own = self._now(), self._pages, self._own.so_far()
        self._forget(began)
        wholly = self._own.has_users
        newest = await self._reader.read(wholly=wholly)
        self._own.forget(own)
        self._freshness.polled(began)
        if self._pages - pages > 1 and self._now() - began > self._interval:
            self.poll_soon()  # it has taken long, and the next one will not
        return newest

    def _take(self, page: Page) -> bool:
        """Take what a page says; returns whether any of it is news."""
        self._pages += 1
        ended = [handle for handle in page.handles if self._noted.revoked(handle)]
        self._listeners.notify(ended)
        changed = [handle for handle, version in page.changes if self._noted.payload_changed(handle, version)]
        # What this worker has done itself may stand between what it has not read: it ends no reading.
        own = self._own
        return bool(ended or changed or own.has_any_of(page.handles)) or own.has_any_of(at for at, _ in page.changes)

    def _forget(self, now: float) -> None:
        if now - self._aged_at > self._kept_ms / 1000:
            self._noted.age()
            self._aged_at = now

    def _failed(self, what: str, error: Exception | None = None) -> None:
        freshness = self._freshness
        freshness.failed()
        self._told.failed(what, staleness=freshness.staleness, refusing=freshness.is_stale, error=error)

    def _now(self) -> float:
        return self._monotonic()
