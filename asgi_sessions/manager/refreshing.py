"""Refresh: read the row, judge the token, promote it once, issue what follows. Nobody is judged on a stale read.

Where nothing can be issued the request is served, once per generation, and the row remembers it.
"""

import logging
from dataclasses import dataclass
from typing import NoReturn

from asgi_sessions.errors import AlreadyRotated, StoreUnavailable, TokenTheftDetected, TryRefreshToken, Unauthorised
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.records import TokenSet
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.standing import Standing
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.rotation import (
    THEFT,
    Lineage,
    Service,
    Verdict,
    Windows,
    decide,
    is_overtaken,
    is_young,
    serve,
)
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.repository import SessionRepository, SessionRow

MAX_READS = 4
"""The first decision and three more after a lost promotion; each loss means that another request has won."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of a refresh.

    Attributes:
        access: Whom the request is authenticated as.
        tokens: What to hand out; None for a late parent (and where nothing may be issued).
        late: The refresh token that came too late, for its retry marker; else None.
        served: Whether the request is to be served. False only for a late parent.
    """

    access: AccessToken
    tokens: TokenSet | None
    late: RefreshToken | None
    served: bool = True


class Refresher:
    """Rotation on the real row."""

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        issuer: Issuer,
        sessions: SessionRepository,
        standing: Standing,
        revoker: Revoker,
        events: Events,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._issuer = issuer
        self._sessions = sessions
        self._standing = standing
        self._revoker = revoker
        self._events = events
        self._clock = clock
        self._restored = OncePerMinute(_log, logging.CRITICAL, clock)
        self._windows = Windows(sibling=settings.sibling_window_ms, late_parent=settings.late_parent_window_ms)

    def looks_authentic(self, token: str) -> bool:
        """Whether it takes a look at the MAC to tell that `token` is no refresh token of ours."""
        return self._keys.refresh_tokens.looks_encoded(token)

    async def authentic(self, token: str) -> RefreshToken | None:
        """The refresh token that `token` is, None for anything that we did not issue.

        Raises:
            StoreUnavailable: Its key is unknown here, and the keys could not be loaded again.
        """
        found = self._keys.refresh_tokens.decode(token)
        if found is None and self._keys.refresh_tokens.unknown_key(token) and await self._keys.learn():
            found = self._keys.refresh_tokens.decode(token)
        return found

    async def refresh(
        self,
        token: RefreshToken,
        *,
        retry_marker: str | None = None,
        carries_over: AccessToken | None = None,
        issue: bool = True,
        arrived_at: int | None = None,
        serves_parents: bool = False,
    ) -> Refreshed:
        """Answer a refresh token with its child, or say why not.

        Args:
            token: An authentic refresh token.
            retry_marker: The marker that came with it, if any.
            carries_over: An access token whose anti-CSRF token the new one is to have.
            issue: False where the answer can carry no tokens, or the request has been under way for so long that
                others may have rotated since: nobody is accused then, and `rotation.serve` says who is served.
            arrived_at: When the request arrived, ms; now if left out.
            serves_parents: Whether a late parent's request is to be served, as far as `rotation.serve` lets it.

        Raises:
            Unauthorised: Unknown, revoked, expired, or newer than the database.
            TryRefreshToken: Served without tokens for long enough: a request that can carry some is welcome.
            TokenTheftDetected: The session has been revoked.
            StoreUnavailable: No verdict; try again.
        """
        retried = retry_marker is not None and self._keys.retry_markers.matches(
            retry_marker, token.handle, token.generation, self._clock()
        )
        del retry_marker  # else it would be in the report of whatever fails from here on
        if self._clock() >= token.issued_at + self._settings.idle_timeout_ms:
            raise Unauthorised
        for reads in range(MAX_READS):
            row, verdict = await self._judge(token, retried=retried, accuse=issue, fresh=reads > 0)
            late = token if verdict is Verdict.LATE_PARENT else None
            if late is not None and not serves_parents:
                return Refreshed(self._issuer.describe(row, row.gen, self._clock()), None, late, served=False)
            if late is not None or not issue:
                arrived = self._clock() if arrived_at is None else arrived_at
                served = await self._serve(row, verdict, token.lineage, arrived_at=arrived, fresh=reads > 0)
                if served is None:
                    continue
                if not served and late is None:
                    raise TryRefreshToken
                generation = max(row.gen, token.generation)
                return Refreshed(self._issuer.describe(row, generation, self._clock()), None, late, served)
            if verdict is not Verdict.CHILD:
                await self._touch(row)
            elif not await self.promote(token.handle, token.lineage, row.expires_at):
                continue
            return await self._follow(row, token, carries_over)
        raise StoreUnavailable

    async def promote(self, handle: str, lineage: Lineage, expires_at: int, *, served: bool = False) -> bool:
        """Make a child the current token. False where the row has moved: read again.

        Args:
            handle: The session.
            lineage: The child's.
            expires_at: The session's absolute end, ms.
            served: Whether its request is served without tokens.
        """
        now = self._clock()
        try:
            return await self._sessions.promote(
                handle,
                lineage,
                now=now,
                idle_expires_at=min(now + self._settings.idle_timeout_ms, expires_at),
                sibling_window=self._windows.sibling,
                served=served,
            )
        except StatementInterrupted:
            return False  # done or not: the next read tells

    async def judge(self, handle: str, lineage: Lineage, *, fresh: bool) -> tuple[SessionRow, Verdict]:
        """Read the row and decide, without consequences.

        Raises:
            Unauthorised: No live session.
        """
        row = await self._standing.row(handle, fresh=fresh)
        return row, decide(lineage, row.chain, now=self._clock(), windows=self._windows)

    async def theft(self, row: SessionRow, verdict: Verdict) -> NoReturn:
        """Revoke the session and raise.

        Raises:
            TokenTheftDetected: Always, once the session is revoked.
            StoreUnavailable: It could not be revoked: no verdict either.
        """
        await self._revoker.theft(row, verdict.name.lower())
        raise TokenTheftDetected(row.handle, user_id.decode(row.user_id))

    def future(self, handle: str) -> Unauthorised:
        """The error for a token that is newer than the database, said loudly: a backup was restored."""
        self._restored.say("Session %s: its token is newer than the database. Was an old backup restored?", handle)
        return Unauthorised()

    async def _judge(
        self, token: RefreshToken, *, retried: bool, accuse: bool, fresh: bool
    ) -> tuple[SessionRow, Verdict]:
        row = await self._standing.row(token.handle, fresh=fresh)
        verdict = self._decide(token, row, retried=retried)
        if verdict in THEFT or verdict is Verdict.FUTURE:
            if not fresh:  # the read may have been a stale one
                row = await self._standing.row(token.handle, fresh=True)
                verdict = self._decide(token, row, retried=retried)
            if verdict in THEFT:
                if not accuse:
                    raise Unauthorised(clear_cookies=False)
                await self.theft(row, verdict)
            if verdict is Verdict.FUTURE:
                raise self.future(token.handle)
        return row, verdict

    def _decide(self, token: RefreshToken, row: SessionRow, *, retried: bool) -> Verdict:
        return decide(token.lineage, row.chain, now=self._clock(), windows=self._windows, retried=retried)

    async def _serve(
        self, row: SessionRow, verdict: Verdict, lineage: Lineage, *, arrived_at: int, fresh: bool
    ) -> bool | None:
        """Whether a request without tokens in its answer is served; None where the row is to be read again."""
        lasts = self._settings.access_token_lifetime_ms
        service = serve(verdict, row.chain, row.served, arrived_at=arrived_at, lasts=lasts)
        if service is Service.GOES_ON:
            return True
        if service is Service.REFUSED:
            return False if fresh else None  # the read may have been a stale one
        if verdict is Verdict.CHILD:
            noted = await self.promote(row.handle, lineage, row.expires_at, served=True)
        else:
            noted = await self._note_service(row, overtaken=is_overtaken(verdict, row.chain, arrived_at))
        if not noted:
            return None
        self._events.happened(
            Event.SERVED_LATE,
            session_handle=row.handle,
            user_id=user_id.decode(row.user_id),
            generation=lineage.generation,
            token=verdict.name.lower(),
        )
        return True

    async def _note_service(self, row: SessionRow, *, overtaken: bool) -> bool:
        now = self._clock()
        try:
            return await self._sessions.serve(
                row.handle,
                row.gen,
                now=now,
                idle_expires_at=min(now + self._settings.idle_timeout_ms, row.expires_at),
                overtaken=overtaken,
            )
        except StatementInterrupted:
            return False  # done or not: the next read tells

    async def _touch(self, row: SessionRow) -> None:
        # A refresh that promotes nothing is a use all the same. Without this, somebody who comes by shortly every 13
        # days would be idle for 14: their child is presented, and promoted, only at the next visit.
        now, unless_since = self._clock(), self._settings.access_token_lifetime_ms // 2
        if now - row.last_active_at > unless_since:
            await self._sessions.touch(
                row.handle,
                now=now,
                idle_expires_at=min(now + self._settings.idle_timeout_ms, row.expires_at),
                unless_since=unless_since,
            )

    async def _follow(self, row: SessionRow, token: RefreshToken, carries_over: AccessToken | None) -> Refreshed:
        now = self._clock()
        twin = is_young(token.lineage, now, self._settings.min_refresh_age_ms)
        following = token.twin() if twin else token.child(now)
        tokens = await self._issuer.issue(row, following, carries_over=carries_over)
        self._events.happened(
            Event.REFRESHED,
            session_handle=row.handle,
            user_id=tokens.access.user_id,
            generation=following.generation,
        )
        return Refreshed(tokens.access, tokens, None)


def already_rotated(late: RefreshToken) -> AlreadyRotated:
    """The answer to a late parent where a refresh was asked for."""
    return AlreadyRotated(late.handle, late.generation)
