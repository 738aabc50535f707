"""The liveness sweep: it finds sessions with an open connection on this worker that have ended without a tombstone.

Such a session has not been used for ``idle_timeout``, or was revoked and purged while this worker could not reach the
database.
"""

from asgi_sessions.protocol.clock import Clock
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import LIVING_BATCH, SessionRepository

__all__ = ["LivenessSweep"]

LIVENESS_SWEEP_SECONDS = 60.0


class LivenessSweep:
    """Asks, once a minute, which of the sessions that have a listener are live. One event loop's.

    Args:
        settings: How far workers' clocks may be apart.
        sessions: The store of sessions.
        listeners: What it calls at a session's end.
        clock: The time, ms.
    """

    def __init__(
        self, settings: SessionSettings, sessions: SessionRepository, listeners: TerminationListeners, clock: Clock
    ) -> None:
        self._workers_apart = settings.workers_apart_ms
        self._sessions = sessions
        self._listeners = listeners
        self._clock = clock
        self._begun_at: float | None = None
        self._left: list[str] = []  # of those that had a listener when the sweep began

    async def go_on(self, now: float) -> None:
        """Ask for the next few where a sweep is due or under way: one statement, mostly none.

        Args:
            now: Seconds, by a clock that nobody can set.

        Raises:
            StoreUnavailable: The database did not answer; the same few are asked for next time.
        """
        if not self._left:
            if self._begun_at is not None and now - self._begun_at < LIVENESS_SWEEP_SECONDS:
                return
            self._begun_at = now
            self._left = self._listeners.handles()
        few = self._left[-LIVING_BATCH:]
        if few:
            # What has just expired by this worker's clock may be refreshed by another one.
            living = await self._sessions.living(few, now=self._clock() - self._workers_apart)
            del self._left[-len(few) :]
            self._listeners.notify(handle for handle in few if handle not in living)
