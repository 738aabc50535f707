"""Says in the log which clocks differ. No revocation depends on a clock; timeouts and rotation do."""

import logging
from collections.abc import Callable

from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.tombstones import Page, TombstoneStore

__all__ = ["CLOCK_ALARM_MS", "ClockAlarm"]

CLOCK_ALARM_MS = 5_000
"""Clocks that differ by more are an error in the log."""
PAUSE_SECONDS = 60.0
"""So long after it has asked a node for its name, it asks again at the earliest."""

_log = logging.getLogger(__name__)


class ClockAlarm:
    """One event loop's.

    Args:
        tombstones: Knows the time on the database's nodes.
        clock: This worker's time, ms.
        monotonic: Seconds by a clock that nobody can set.
    """

    def __init__(self, tombstones: TombstoneStore, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._tombstones = tombstones
        self._clock = clock
        self._monotonic = monotonic
        self._asked_at = float("-inf")
        self._apart: dict[str, int] = {}  # this worker's time less that of a node, ms
        self._told: dict[tuple[str, bool], int] = {}

    async def look(self, page: Page) -> None:
        """Compare what a page says with this worker's time. No statement where all is well.

        Raises:
            StoreUnavailable: The database did not say which node it was; the next look asks again.
        """
        ahead = 0 if page.newest is None else page.newest - page.now
        if abs(self._clock() - page.now) <= CLOCK_ALARM_MS and ahead <= CLOCK_ALARM_MS and self._apart:
            return
        if self._monotonic() - self._asked_at < PAUSE_SECONDS:
            return
        before = self._clock()
        now, node = await self._tombstones.node()
        after = self._clock()
        self._asked_at = self._monotonic() if self._apart else float("-inf")
        # The node looked at its clock between the two: an answer that takes long is no difference.
        self._apart[node] = apart = before - now if before > now else after - now if after < now else 0
        if abs(apart) > CLOCK_ALARM_MS and self._is_new(node, False, apart):
            _log.error(
                "This worker's clock is %+.1f s off that of the database's node %s%s: keep clocks synchronised.",
                apart / 1000,
                node,
                self._others(node),
            )
        if page.newest is not None and page.newest - now > CLOCK_ALARM_MS and self._is_new(node, True, ahead):
            _log.error(
                "The clocks of the database's nodes differ: a session was ended at a time %.1f s ahead of that of the "
                "node %s. Logouts are felt all the same; keep clocks synchronised.",
                (page.newest - now) / 1000,
                node,
            )

    def _is_new(self, node: str, of_nodes: bool, apart: int) -> bool:
        told = self._told.get((node, of_nodes))
        if told is not None and abs(apart - told) <= CLOCK_ALARM_MS:
            return False
        self._told[node, of_nodes] = apart
        return True

    def _others(self, node: str) -> str:
        others = [f"{apart / 1000:+.1f} s off that of {name}" for name, apart in self._apart.items() if name != node]
        return f" ({', '.join(others)})" if others else ""
