"""The liveness check: is a session in the database, not expired and not revoked?

Three rules stand here and nowhere else:

*No request is refused on a read that may be stale.* A row that is missing, has expired or is older than what is known
is read again at the strongest consistency that the engine offers. Only a tombstone counts at once, because it is final.
Tokens are judged (`rotating`) on rows that are read so in the first place.

*A session that this worker has ended stays ended*, even if the database's node that answers does not know it yet.

*Where a row is read for an access token, the newest payload counts*: that of the row, if its version is the higher one.
"""

from typing import Any

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.row_claims import as_the_row_says
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import SessionRepository, SessionRow

REPLACED = "replaced"
"""The reason in the tombstone of a session that a new login in the same jar has ended."""


class LivenessCheck:
    """Reads the rows of live sessions, and turns all others into errors.

    Args:
        settings: For how long a replaced session's jar may still send its cookies.
        sessions: The store of sessions.
        feed: What this worker knows of ended sessions; None with ``revocation_check="none"``.
        clock: The time, ms.
    """

    def __init__(
        self, settings: SessionSettings, sessions: SessionRepository, feed: RevocationFeed | None, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._feed = feed
        self._clock = clock
        self._replaced_recently = settings.late_parent_window_ms

    async def live_row(self, handle: str, *, fresh: bool = False, payload_version: int = 0) -> SessionRow:
        """The row of a live session.

        Args:
            handle: The session's handle.
            fresh: Read at the strongest consistency at once.
            payload_version: A version that the payload has at least, as far as the caller knows. A row with a lower
                one is read again.

        Raises:
            Unauthorised: Unknown, expired or revoked.
            StoreUnavailable: The database did not answer.
        """
        ended_here = self._feed is not None and handle in self._feed
        fresh = fresh or ended_here
        row = await self._sessions.find(handle, fresh=fresh)
        if not fresh and (row is None or (row.revoked_at is None and self._doubts(row, payload_version))):
            row = await self._sessions.find(handle, fresh=True)
        if row is None:
            raise Unauthorised
        if row.revoked_at is not None:
            raise self._revoked(row)
        if row.is_expired(self._clock()):
            raise Unauthorised
        if ended_here:
            raise Unauthorised(clear_cookies=False)
        return row

    async def newest(self, access: AccessToken, *, fresh: bool = False) -> AccessToken:
        """The access token of a live session as it would be made now: this one, or one that says what the row says.

        Args:
            access: The token.
            fresh: Read at the strongest consistency at once. Then a payload with a lower version counts too: a backup
                was restored.

        Raises:
            Unauthorised: The session is gone.
            StoreUnavailable: The database did not answer.
        """
        known = 0 if self._feed is None else self._feed.payload_version(access.handle)
        row = await self.live_row(access.handle, fresh=fresh, payload_version=known)
        version = row.payload_version
        # A worker of an older version names nobody who acts.
        if (
            version > access.payload_version
            or (fresh and version < access.payload_version)
            or (row.actor is not None and access.actor is None)
        ):
            return as_the_row_says(access, row)
        return access

    async def gone(self, session_handle: Any) -> Unauthorised:
        """The error for a session that a statement did not find, with the reason's word on the cookies."""
        if is_handle(session_handle):
            try:
                await self.live_row(session_handle)
            except Unauthorised as error:
                return error
        return Unauthorised()

    def _doubts(self, row: SessionRow, payload_version: int) -> bool:
        return (
            row.is_expired(self._clock())
            or (self._feed is not None and self._feed.expects_tombstones_of(row.user_id))
            or row.payload_version < payload_version
        )

    def _revoked(self, row: SessionRow) -> Unauthorised:
        # The jar of a session that a login has just replaced already holds the next one: clearing would log that out.
        revoked_at = row.revoked_at or 0
        recently = self._replaced_recently > 0 and self._clock() - revoked_at <= self._replaced_recently
        return Unauthorised(clear_cookies=not (row.revoked_reason == REPLACED and recently))
