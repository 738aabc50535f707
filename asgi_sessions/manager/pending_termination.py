"""A termination that is still to come: of a session, of the connection that uses it, or of the server."""

import asyncio
from collections.abc import Callable

from asgi_sessions.manager.shutdown import Shutdown
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.connections import End, end_at
from asgi_sessions.revocation.termination_listeners import TerminationListeners

LONGEST_TIMER_SECONDS = 3600.0
"""The machine's clock may be set meanwhile, so the time left is looked at again."""


class PendingTermination:
    """Calls back once, when the session, the connection's time or the server ends. Belongs to one event loop.

    Args:
        access: An access token of the session.
        listeners: The listeners that are called at a revocation.
        clock: The time, ms.
        ended: Called once when the session is over; must not block.
        outlived: Called in its place where `until` comes first; must not block.
        until: When a connection has gone on for long enough with what it came with, ms; None for no such end.
        shutdown: Says when the server begins to stop.
        stopping: Called in its place where that comes first; must not block. None where it is nobody's business.
    """

    __slots__ = (
        "_clock",
        "_ended",
        "_expires_at",
        "_handle",
        "_listeners",
        "_outlived",
        "_shutdown",
        "_stopping",
        "_timer",
        "_until",
    )

    def __init__(
        self,
        access: AccessToken,
        listeners: TerminationListeners,
        clock: Clock,
        ended: Callable[[], None],
        *,
        outlived: Callable[[], None] | None = None,
        until: int | None = None,
        shutdown: Shutdown,
        stopping: Callable[[], None] | None = None,
    ) -> None:
        self._handle = access.handle
        self._expires_at = access.session_expires_at
        self._outlived = outlived or ended
        self._until = self._expires_at if until is None else min(until, self._expires_at)
        self._listeners = listeners
        self._clock = clock
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._shutdown = shutdown
        self._stopping = stopping
        listeners.add(self._handle, self._revoked, owner=user_id.encode(access.user_id))
        self._wait()
        if stopping is not None:
            shutdown.add(self._stops)

    def cancel(self) -> None:
        """Wait no longer."""
        self._listeners.remove(self._handle, self._revoked)
        self._shutdown.remove(self._stops)
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        left = (self._until - self._clock()) / 1000
        self._timer = asyncio.get_running_loop().call_later(max(0.0, min(left, LONGEST_TIMER_SECONDS)), self._look)

    def _look(self) -> None:
        end = end_at(self._clock(), until=self._until, session_expires_at=self._expires_at)
        if end is None:
            self._wait()
            return
        self.cancel()
        if end is End.CONNECTION:
            self._outlived()
        else:
            self._ended()

    def _revoked(self) -> None:
        self.cancel()
        self._ended()

    def _stops(self) -> None:
        self.cancel()
        if self._stopping is not None:
            self._stopping()
