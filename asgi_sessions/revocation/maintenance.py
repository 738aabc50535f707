"""The part of a poll that nobody waits for."""

import asyncio
from collections.abc import Callable

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.revocation.clock_alarm import ClockAlarm
from asgi_sessions.revocation.feed_log import FeedLog
from asgi_sessions.revocation.liveness_sweep import LivenessSweep
from asgi_sessions.revocation.reading import Reader
from asgi_sessions.store.tombstones import Page

__all__ = ["Maintenance"]


class Maintenance:
    """Compares clocks, reads again what lies deeper, and checks the liveness of sessions with open connections.

    The news is fresh whatever becomes of this, and the next poll's maintenance goes on where it was left. One runs at a
    time.

    Args:
        alarm: Compares clocks.
        reader: Reads tombstones.
        liveness_sweep: Looks up the sessions that have a termination listener.
        log: Told of our own errors.
        monotonic: Seconds by a clock that nobody can set.
    """

    def __init__(
        self,
        alarm: ClockAlarm,
        reader: Reader,
        liveness_sweep: LivenessSweep,
        log: FeedLog,
        monotonic: Callable[[], float],
    ) -> None:
        self._alarm = alarm
        self._reader = reader
        self._liveness_sweep = liveness_sweep
        self._log = log
        self._monotonic = monotonic
        self._running = asyncio.Lock()

    async def run(self, newest: Page) -> None:
        """Do what there is to do. Nothing while that of an earlier poll is at work.

        Args:
            newest: The newest page that the poll has read.
        """
        if self._running.locked():
            return
        try:
            async with self._running:
                await self._alarm.look(newest)
                await self._reader.maintain(newest)
                await self._liveness_sweep.go_on(self._monotonic())
        except StoreUnavailable:
            pass
        except Exception as error:
            self._log.maintained(error)
        else:
            self._log.maintained()
