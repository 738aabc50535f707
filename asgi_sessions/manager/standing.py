"""Whether a session still stands, asked of the database."""

from asgi_sessions.errors import Unauthorised
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import SessionRepository, SessionRow

REPLACED = "replaced"
"""The reason in the tombstone of a session that a new login in the same jar has ended."""


class Standing:
    """Reads rows and turns those that no longer stand into errors."""

    def __init__(
        self, settings: SessionSettings, sessions: SessionRepository, feed: RevocationFeed | None, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._feed = feed
        self._clock = clock
        self._replaced_recently = settings.late_parent_window_ms

    async def row(self, handle: str, *, fresh: bool = False) -> SessionRow:
        """The row of a live session.

        Args:
            handle: Which session.
            fresh: Read at the strongest consistency. What looks missing or expired is always read again so: a
                lagging node must not log anybody out. Nor may it let anybody in whose user's sessions this worker has
                just ended.

        Raises:
            Unauthorised: Unknown, expired or revoked.
            StoreUnavailable: The database did not answer.
        """
        out = self._feed is not None and handle in self._feed
        fresh = fresh or out
        row = await self._sessions.find(handle, fresh=fresh)
        if not fresh and (row is None or self._expired(row) or self._suspected(row)):
            row = await self._sessions.find(handle, fresh=True)
        if row is None:
            raise Unauthorised
        if row.revoked_at is not None:
            raise self._revoked(row)
        if self._expired(row):
            raise Unauthorised
        if out:  # and this node of the database has not heard of it yet
            raise Unauthorised(clear_cookies=False)
        return row

    def _suspected(self, row: SessionRow) -> bool:
        return self._feed is not None and self._feed.expects_tombstones_of(row.user_id)

    def _expired(self, row: SessionRow) -> bool:
        now = self._clock()
        return row.expires_at <= now or row.idle_expires_at <= now

    def _revoked(self, row: SessionRow) -> Unauthorised:
        # The jar of a session that a login has just replaced already holds the next one: clearing would log that out.
        revoked_at = row.revoked_at or 0
        recently = self._replaced_recently > 0 and self._clock() - revoked_at <= self._replaced_recently
        return Unauthorised(clear_cookies=not (row.revoked_reason == REPLACED and recently))
