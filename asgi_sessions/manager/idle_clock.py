"""The idle clock: which requests move the time at which a session ends unless it is used.

What must hold: *a session's idle end moves by requests that extend the session, and by nothing else.* A background
request, such as a page's poll, does not.

A request that extends does so by its refresh, or has come with an access token whose refresh did, not long ago: so the
clock costs no write for each request. Two access tokens are none of these: that of a background refresh, which says so
(`AccessToken.background`), and one that has expired, since a connection that is open goes on with it. Who uses the
session with one of them moves the clock by itself, `IdleClock.used`.
"""

import logging
from collections import OrderedDict

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.timeouts import Lifetime
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.repository import SessionRepository, SessionRow

MOST_REMEMBERED = 10_000
"""Sessions that are known to be extended. One that is forgotten costs a read."""


class IdleClock:
    """Moves the idle end of sessions that are used, each at most once per half access token lifetime.

    Args:
        settings: The lifetime of access tokens, and the idle timeouts.
        sessions: The store of sessions.
        liveness: Reads the rows.
        clock: The time, ms.
    """

    def __init__(
        self,
        settings: SessionSettings,
        sessions: SessionRepository,
        liveness: LivenessCheck,
        clock: Clock,
    ) -> None:
        self._idle = settings.idle_timeouts
        self._unless_since = settings.access_token_lifetime_ms // 2
        self._sessions = sessions
        self._liveness = liveness
        self._clock = clock
        self._unmoved = OncePerMinute(manager_log(__name__, settings), logging.WARNING, clock)
        self._extended_at: OrderedDict[str, int] = OrderedDict()

    def expiry(self, now: int, lifetime: Lifetime) -> int:
        """When a session that is used now ends unless it is used again, ms."""
        return self._idle.expiry(now, lifetime)

    async def touch(self, row: SessionRow) -> None:
        """Note a use that does not move the session's chain.

        Without it, somebody who comes by shortly every 13 days would be idle for 14: their child is presented, and
        promoted, only at the next visit.

        Raises:
            StoreUnavailable: It may have been noted, or not.
        """
        now = self._clock()
        if now - row.last_active_at > self._unless_since:
            await self._sessions.touch(
                row.handle,
                now=now,
                idle_expires_at=self.expiry(now, row.lifetime),
                unless_since=self._unless_since,
            )

    def is_extended(self, access: AccessToken) -> bool:
        """Whether who extends the session by itself has just done so, and has nothing to extend."""
        extended_at = self._extended_at.get(access.handle)
        return extended_at is not None and 0 <= self._clock() - extended_at < self._unless_since

    async def used(self, access: AccessToken) -> None:
        """Note that who extends the session has this access token, with a request or on an open connection.

        If the database does not answer, who asks is served all the same, and the next one tries again.

        Raises:
            Unauthorised: The session has ended.
        """
        now = self._clock()
        extended_by_its_refresh = not access.background and now < access.expires_at
        if extended_by_its_refresh or self.is_extended(access):
            return
        try:
            await self.touch(await self._liveness.live_row(access.handle))
        except StoreUnavailable:
            self._unmoved.say("Session %s: a request was served without extending it.", access.handle)
            return
        self._extended_at[access.handle] = now
        self._extended_at.move_to_end(access.handle)
        if len(self._extended_at) > MOST_REMEMBERED:
            self._extended_at.popitem(last=False)
