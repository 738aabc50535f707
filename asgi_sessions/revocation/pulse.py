"""The pulse of an event loop: whether it has stood still, because its process was frozen or one call has blocked it.

*A standstill is noticed before the first request after it is answered.* A process that stands still learns nothing, and
its first request afterwards may come before its first poll. A loop that runs its timers in time shows at each beat that
it runs. Where the last beat is older than `LATE_SECONDS`, the loop did not run for a part of the time since: the next
beat or the next request, whichever comes first, notices that.
"""

import asyncio
import functools
import time
from collections.abc import Callable

__all__ = ["BEAT_SECONDS", "LATE_SECONDS", "Pulse", "machine_seconds"]

BEAT_SECONDS = 0.2
LATE_SECONDS = 0.5
"""A loop that is held up for less is late for its polls by less, too."""

machine_seconds: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds by a clock that nobody can set. On Linux it goes on while the machine sleeps, unlike `time.monotonic`."""


class Pulse:
    """One event loop's.

    Args:
        monotonic: Seconds by a clock that nobody can set.
        beaten: Called after each beat; True says that the loop had stood still before it. Must not block.
    """

    def __init__(self, monotonic: Callable[[], float], beaten: Callable[[bool], None]) -> None:
        self._monotonic = monotonic
        self._beaten = beaten
        self._timer: asyncio.TimerHandle | None = None
        self.good_until = float("inf")

    @property
    def is_late(self) -> bool:
        """Whether the loop has stood still since the last beat. Never before `start` and after `stop`."""
        return self._monotonic() > self.good_until

    def start(self) -> None:
        """Begin to beat."""
        self._good_until_next()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.good_until = float("inf")

    def beat(self) -> None:
        """Beat now, too."""
        if self._timer is not None:
            self._timer.cancel()
        late = self.is_late
        self._good_until_next()
        self._beaten(late)

    def _good_until_next(self) -> None:
        self.good_until = self._monotonic() + LATE_SECONDS
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self.beat)
