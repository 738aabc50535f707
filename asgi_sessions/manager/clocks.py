"""The time that a worker goes by: its machine's clock, compared with the database's, which all workers share.

What must hold
==============

*Two workers' times are at most twice* ``max_clock_difference`` *apart*, whatever their machines' clocks show. So a
tombstone outlives every access token, and rotation can tell a parallel request from a thief.

*Nothing is deleted for good by a machine's clock alone.* The purge and the rotation of keys go by the database's time,
and rest while the two are further apart than that: nobody here can tell which of them is wrong.

========================  =========================  ==========================================
machine against database  the time that is told      purge, new signing keys
========================  =========================  ==========================================
within the setting        the machine's              by the database's time
further apart             the database's, carried    not done; the log says so once
                          on from when it was heard
========================  =========================  ==========================================

The difference is measured at the start, with each poll of the revocation feed, and before anything irreversible. One
answer that is too far off is enough to put the irreversible off. It is not enough to change the time that is told: one
node of the database may be wrong, so the next answer has to confirm it (at the start the first answer counts). Between
two polls a monotonic clock tells when the machine's clock was set: it is compared whenever the time is asked for here.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from asgi_sessions.protocol.clock import Clock, system_clock
from asgi_sessions.protocol.durations import format_duration, format_time
from asgi_sessions.revocation.pulse import machine_seconds
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.engine import Database
from asgi_sessions.store.schema import Tables
from asgi_sessions.store.tombstones import Page, Position, TombstoneStore

__all__ = ["Clocks", "Reading", "TimedTombstones"]

STEP_MS = 1_000
"""A machine's clock that runs on is never so far from one that nobody can set; one that was set may be."""
SAY_AGAIN_SECONDS = 60.0
"""Nodes of a database that disagree must not fill the log."""


class Reading(NamedTuple):
    """The machine's clocks at one moment.

    Attributes:
        wall: ms since the epoch.
        elapsed: Seconds, by a clock that nobody can set.
    """

    wall: int
    elapsed: float


class Clocks:
    """One event loop's. Calling it tells the time, ms.

    Args:
        settings: How far apart the clocks may be.
        given: The worker's clock. One that is not the machine's is simulated time, and stands for the database's clock
            as well: what is held against the database's is the machine's in any case.
        ask_database: The database's time, ms.

    Attributes:
        given: The worker's clock, for what hangs on it no longer than a request lasts.
        now: The same as calling, without noticing that the machine's clock was set just now; see `follow`.
    """

    def __init__(self, settings: SessionSettings, given: Clock, ask_database: Callable[[], Awaitable[int]]) -> None:
        self._log = manager_log(__name__, settings)
        self._most_apart = settings.max_clock_difference_ms
        self._allowed = format_duration(settings.max_clock_difference)
        self.given = given
        self._ask_database = ask_database
        self._difference = 0  # the machine's less the database's, ms, as it counts
        self._answered = 0  # and as the database's last answer, confirmed or not, has it
        self._heard: Reading | None = None  # when that was so
        self._off = self._doubted = False
        self._said_at = float("-inf")
        self._said = False
        self._followers: list[Callable[[Clock], None]] = []
        self.now: Clock = given

    def __call__(self) -> int:
        self._notice_a_step()
        return self.now()

    def database_time(self) -> int:
        """The database's time as far as it is known here, ms."""
        self._notice_a_step()
        return self.given() - self._difference

    def corrected(self, moment: int) -> int:
        """What this would have told when the worker's own clock showed ``moment``, ms."""
        return moment - self._difference if self._off else moment

    @property
    def too_far_off(self) -> bool:
        """Whether machine and database are further apart than ``max_clock_difference``."""
        self._notice_a_step()
        return self._off

    def follow(self, take: Callable[[Clock], None]) -> None:
        """Give a clock now, and again whenever it must be another; for callers that need it too often to ask here."""
        self._followers.append(take)
        take(self.now)

    # -- the database's time is heard

    def read(self) -> Reading:
        """To be taken before the database is asked for its time, for `heard`."""
        return Reading(system_clock(), machine_seconds())

    def heard(self, asked: Reading, database_now: int, *, quietly: bool = False) -> None:
        """Hold the machine's clock against the database's.

        The very first difference counts as it is; a later one that is too large when it is heard once more.

        Args:
            asked: What `read` returned before the database was asked. A slow answer is no difference.
            database_now: What it said, ms.
            quietly: Log nothing.
        """
        self._notice_a_step()
        answered = self.read()
        took = round((answered.elapsed - asked.elapsed) * 1000)
        began = asked.wall if abs(answered.wall - asked.wall - took) <= STEP_MS else answered.wall - took
        # Somewhere in between the database looked at its clock. What may be no difference counts as none.
        least, most = began - database_now, answered.wall - database_now
        difference = self._answered = max(least, min(most, 0))
        was_doubted, self._doubted = self._doubted, abs(difference) > self._most_apart
        if self._doubted and not (was_doubted or self._off or self._heard is None):
            return
        self._heard = answered
        self._differ(difference, quietly=quietly)

    async def measure(self, *, quietly: bool = False) -> bool:
        """Ask the database for its time now: before something irreversible, and at the start.

        Args:
            quietly: Log nothing, because the caller refuses to go on with such a difference and says so.

        Returns:
            Whether this very answer is near enough to go by it. One that is not may be a single node's.

        Raises:
            StoreUnavailable: It does not answer.
        """
        asked = self.read()
        self.heard(asked, await self._ask_database(), quietly=quietly)
        return not self._doubted

    def describe(self) -> str:
        """What differs, and by how much, for people."""
        machine = system_clock()
        return (
            f"this machine's clock says {format_time(machine)}, the database's "
            f"{format_time(machine - self._answered)}: {abs(self._answered) / 1000:.1f} s apart, "
            f"and at most {self._allowed} are allowed"
        )

    def _notice_a_step(self) -> None:
        heard = self._heard
        if heard is None:
            return
        reading = self.read()
        step = reading.wall - heard.wall - (reading.elapsed - heard.elapsed) * 1000
        if abs(step) > STEP_MS:
            self._heard = reading
            self._answered = self._difference + round(step)
            self._differ(self._answered)

    def _differ(self, difference: int, *, quietly: bool = False) -> None:
        self._difference = difference
        off = abs(difference) > self._most_apart
        if off == self._off:
            return
        self._off = off
        self.now = self._carried if off else self.given
        for take in self._followers:
            take(self.now)
        if not quietly:
            self._say()

    def _carried(self) -> int:
        return self.given() - self._difference

    def _say(self) -> None:
        now = machine_seconds()
        if self._off and now - self._said_at >= SAY_AGAIN_SECONDS:
            self._said, self._said_at = True, now
            self._log.error(
                "max_clock_difference: %s. Until they agree this worker goes by the database's time, purges nothing "
                "and makes no signing key. Keep clocks synchronised.",
                self.describe(),
            )
        elif not self._off and self._said:
            self._said = False
            self._log.warning("This machine's clock and the database's agree again.")


class TimedTombstones(TombstoneStore):
    """Tombstones as the feed polls them. The time that comes along with each page is heard by the clocks."""

    def __init__(self, database: Database, tables: Tables, clocks: Clocks) -> None:
        super().__init__(database, tables)
        self._clocks = clocks

    async def page(self, before: Position, since: int, *, strong: bool = False) -> Page:
        """As `TombstoneStore.page`."""
        asked = self._clocks.read()
        page = await super().page(before, since, strong=strong)
        self._clocks.heard(asked, page.now)
        return page
