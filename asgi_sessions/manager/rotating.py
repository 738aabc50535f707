"""Rotation on a session's row: what a presented token is there, and what follows from it: promotion, or theft.

``protocol/rotation.py`` decides; here its decisions meet the database. Refresh tokens are judged at a refresh, and with
``promote_on="first_use"`` access tokens at their first use: both by the same functions.
"""

import logging
from typing import NoReturn

from asgi_sessions.errors import TokenTheftDetected, Unauthorised
from asgi_sessions.manager.changing import swapped
from asgi_sessions.manager.idle_clock import IdleClock
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.rotation import Lineage, Verdict, Windows, decide
from asgi_sessions.protocol.timeouts import Lifetime
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.repository import SessionRepository, SessionRow

MAX_READS = 4
"""The first decision and three more after a lost promotion; each loss means that another request has won."""
MOVED = f"The session's row has changed at each of {MAX_READS} tries."
"""What is said when those are used up."""


class Rotation:
    """Judges tokens by the rows of their sessions, and moves the rows on.

    Args:
        settings: The windows.
        sessions: The store of sessions.
        liveness: Reads the rows.
        revoker: Ends a session whose token was stolen.
        idle_clock: Says when a session that is used now ends.
        clock: The time, ms.
    """

    def __init__(
        self,
        settings: SessionSettings,
        sessions: SessionRepository,
        liveness: LivenessCheck,
        revoker: Revoker,
        idle_clock: IdleClock,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._liveness = liveness
        self._revoker = revoker
        self._idle_clock = idle_clock
        self._clock = clock
        self._restored = OncePerMinute(manager_log(__name__, settings), logging.CRITICAL, clock)
        self._windows = Windows(sibling=settings.sibling_window_ms, late_parent=settings.late_parent_window_ms)

    async def judge(
        self,
        handle: str,
        lineage: Lineage,
        *,
        retried: bool = False,
    ) -> tuple[SessionRow, Verdict]:
        """Read the row and decide, without consequences.

        At the strongest consistency, whatever comes of it: what is issued on a row that lags would outlive a logout.

        Args:
            handle: The session.
            lineage: The presented token's.
            retried: See `protocol.rotation.decide`.

        Raises:
            Unauthorised: No live session.
        """
        row = await self._liveness.live_row(handle, fresh=True)
        return row, decide(lineage, row.chain, now=self._clock(), windows=self._windows, retried=retried)

    async def promote(
        self, handle: str, lineage: Lineage, lifetime: Lifetime, *, served: bool = False, extend: bool = True
    ) -> bool:
        """Make a child the current token. False where the row has moved: read again.

        Args:
            handle: The session.
            lineage: The child's.
            lifetime: The session's.
            served: Whether its request is served without tokens.
            extend: Whether its request extends the session.
        """
        now = self._clock()
        return await swapped(
            self._sessions.promote(
                handle,
                lineage,
                now=now,
                idle_expires_at=self._idle_clock.expiry(now, lifetime) if extend else None,
                sibling_window=self._windows.sibling,
                served=served,
            )
        )

    async def theft(self, row: SessionRow, verdict: Verdict) -> NoReturn:
        """Revoke the session and raise.

        Raises:
            TokenTheftDetected: Always, once the session is revoked.
            StoreUnavailable: It could not be revoked: no verdict either.
        """
        await self._revoker.theft(row, verdict.name.lower())
        raise TokenTheftDetected(row.handle, user_id.decode(row.user_id))

    def newer_than_database(self, handle: str) -> Unauthorised:
        """The error for `Verdict.FUTURE`, said loudly: a backup was restored."""
        self._restored.say("Session %s: its token is newer than the database. Was an old backup restored?", handle)
        return Unauthorised()
