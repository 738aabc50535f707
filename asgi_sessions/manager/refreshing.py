"""Refresh: judge the token by its session's row, promote it once, issue what follows.

Where nothing can be issued the request is served, once per generation, and the row remembers it. A session whose
payload does not fit into a cookie by the settings of now is served as well, for as long as its refresh token lasts.

Where the application has a function of ``claims``, it is asked once for each refresh that is to issue something,
between two judgements of the token: the second one decides. If the row's payload has a new version by then, and reads
as before, somebody may have said that it is to stay, or the user has stepped up: the function is asked again.
"""

import logging
from dataclasses import replace

from asgi_sessions.errors import AlreadyRotated, PayloadTooLarge, StoreUnavailable, TryRefreshToken, Unauthorised
from asgi_sessions.manager.audit import Event, by
from asgi_sessions.manager.changing import swapped
from asgi_sessions.manager.claims_function import Claimed, Claims
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.idle_clock import IdleClock
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.once_per_generation import OncePerGeneration
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.records import Refreshed
from asgi_sessions.manager.rotating import MAX_READS, MOVED, Rotation
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.rotation import (
    THEFT,
    Lineage,
    Service,
    Verdict,
    is_overtaken,
    is_young,
    serve,
)
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.repository import SessionRepository, SessionRow

_NO_ROOM = (
    "session %s gets no new tokens: its payload was accepted by other settings, and no longer fits into a cookie. Its "
    "requests are served, each after a look at the database, until its refresh token expires. %s"
)


class Refresher:
    """Answers refresh tokens.

    Args:
        settings: Idle timeout, the lifetime of access tokens, the least age for a child.
        keys: Codecs of refresh tokens and retry markers.
        issuer: Makes tokens.
        sessions: The store of sessions.
        rotation: Judges and promotes.
        idle_clock: Says when sessions end without use, and notes uses that promote nothing.
        claims: Asks the application for the payload.
        events: The audit log and the hooks.
        clock: The time, ms.
    """

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        issuer: Issuer,
        sessions: SessionRepository,
        rotation: Rotation,
        idle_clock: IdleClock,
        claims: Claims,
        events: Events,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._issuer = issuer
        self._sessions = sessions
        self._rotation = rotation
        self._idle_clock = idle_clock
        self._claims = claims
        self._events = events
        self._clock = clock
        self._told = OncePerGeneration()
        self._no_room = OncePerMinute(manager_log(__name__, settings), logging.ERROR, clock)

    def looks_authentic(self, token: str) -> bool:
        """Whether it takes a look at the MAC to tell that `token` is no refresh token of ours."""
        return self._keys.refresh_tokens.looks_encoded(token)

    async def authentic(self, token: str) -> RefreshToken | None:
        """The refresh token that `token` is, None for anything that we did not issue.

        Raises:
            StoreUnavailable: Its key is unknown here, and the keys could not be loaded again.
        """
        found = self._keys.refresh_tokens.decode(token)
        if found is None and self._keys.refresh_tokens.unknown_key(token) and await self._keys.reload_for_unknown_key():
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
        extend: bool = True,
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
            extend: False for a background request: the session's idle end stays where it is.

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
            raise Unauthorised  # for no session is it any longer
        arrived = self._clock() if arrived_at is None else arrived_at

        def without_tokens(verdict: Verdict) -> bool:
            return not issue or (serves_parents and verdict is Verdict.LATE_PARENT)

        claimed: Claimed | None = None
        reads = 0
        while reads < MAX_READS:
            row, verdict = await self._rotation.judge(token.handle, token.lineage, retried=retried)
            if self._clock() >= self._idle_clock.expiry(token.issued_at, row.lifetime):
                raise Unauthorised
            await self._refuse_what_is_not_the_sessions(row, verdict, token, accuse=issue)
            if verdict is Verdict.LATE_PARENT and not serves_parents:
                return Refreshed(self._issuer.describe(row, row.gen, self._clock()), None, token, served=False)
            if without_tokens(verdict):
                refreshed = await self._serve(row, verdict, token, arrived, extend)
            elif self._claims.is_set and (claimed is None or claimed.leaves_open(row)):
                reads += claimed is not None
                claimed = Claimed(row, await self._claims.of(row, self._issuer))
                continue
            else:
                text = row.jwt_payload if claimed is None else claimed.payload_of(row)
                refreshed = await self._rotate(row, verdict, token, carries_over, text, extend)
            if refreshed is not None:
                return refreshed
            reads += 1
        raise StoreUnavailable(MOVED)

    async def _refuse_what_is_not_the_sessions(
        self, row: SessionRow, verdict: Verdict, token: RefreshToken, *, accuse: bool
    ) -> None:
        if verdict in THEFT:
            if not accuse:
                raise Unauthorised(clear_cookies=False)
            await self._rotation.theft(row, verdict)
        if verdict is Verdict.FUTURE:
            raise self._rotation.newer_than_database(token.handle)

    async def _rotate(
        self,
        row: SessionRow,
        verdict: Verdict,
        token: RefreshToken,
        carries_over: AccessToken | None,
        text: str,
        extend: bool,
    ) -> Refreshed | None:
        """Issue what follows, with this payload. None where the row has moved: read again."""
        if verdict is not Verdict.CHILD:
            if extend:
                await self._idle_clock.touch(row)
        elif not await self._rotation.promote(token.handle, token.lineage, row.lifetime, extend=extend):
            return None
        if text != row.jwt_payload:
            row = await self._with_payload(row, text)
        return await self._follow(row, token, carries_over, extend)

    async def _with_payload(self, row: SessionRow, text: str) -> SessionRow:
        """The row with a payload, where that could be stored; else with the one that it has by now, as far as known."""
        version = row.payload_version
        try:
            if await self._sessions.swap_payload(row.handle, text, now=self._clock(), version=version):
                return replace(row, jwt_payload=text, payload_version=version + 1)
            now = await self._sessions.find(row.handle, fresh=True)  # somebody else has replaced it
        except StoreUnavailable:
            now = None
        if now is None:
            return row
        return replace(
            row,
            jwt_payload=now.jwt_payload,
            payload_version=now.payload_version,
            methods=now.methods,
            auth_time=now.auth_time,
        )

    async def _serve(
        self, row: SessionRow, verdict: Verdict, token: RefreshToken, arrived_at: int, extend: bool
    ) -> Refreshed | None:
        """Serve the request without tokens, as far as `rotation.serve` lets it. None where the row has moved."""
        served = self._service(row, verdict, arrived_at) is not Service.REFUSED
        if served and not await self._is_noted(row, verdict, token.lineage, arrived_at, extend):
            return None
        late = token if verdict is Verdict.LATE_PARENT else None
        if not served and late is None:
            raise TryRefreshToken
        generation = max(row.gen, token.generation)
        access = self._issuer.describe(row, generation, self._clock(), extend=extend)
        return Refreshed(access, None, late, served)

    def _service(self, row: SessionRow, verdict: Verdict, arrived_at: int) -> Service:
        lasts = self._settings.access_token_lifetime_ms
        return serve(verdict, row.chain, row.served, arrived_at=arrived_at, lasts=lasts)

    async def _is_noted(
        self, row: SessionRow, verdict: Verdict, lineage: Lineage, arrived_at: int, extend: bool
    ) -> bool:
        """Note in the row that a request is served without tokens. False where the row has moved: read again."""
        if self._service(row, verdict, arrived_at) is Service.GOES_ON:
            if extend:  # a background request may have begun it
                await self._idle_clock.touch(row)
            return True
        if verdict is Verdict.CHILD:
            noted = await self._rotation.promote(row.handle, lineage, row.lifetime, served=True, extend=extend)
        else:
            overtaken = is_overtaken(verdict, row.chain, arrived_at)
            noted = await self._note_service(row, overtaken=overtaken, extend=extend)
        if noted:
            self._events.happened(
                Event.SERVED_LATE,
                session_handle=row.handle,
                user_id=user_id.decode(row.user_id),
                generation=lineage.generation,
                token=verdict.name.lower(),
                **by(None if row.actor is None else user_id.decode(row.actor)),
            )
        return noted

    async def _note_service(self, row: SessionRow, *, overtaken: bool, extend: bool) -> bool:
        now = self._clock()
        return await swapped(
            self._sessions.serve(
                row.handle,
                row.gen,
                now=now,
                idle_expires_at=self._idle_clock.expiry(now, row.lifetime) if extend else None,
                overtaken=overtaken,
            )
        )

    async def _follow(
        self, row: SessionRow, token: RefreshToken, carries_over: AccessToken | None, extend: bool
    ) -> Refreshed:
        now = self._clock()
        twin = is_young(token.lineage, now, self._settings.min_refresh_age_ms)
        following = token.twin() if twin else token.child(now)
        try:
            tokens = await self._issuer.issue(row, following, carries_over=carries_over, extend=extend)
        except PayloadTooLarge as error:
            self._no_room.say(_NO_ROOM, row.handle, error.detail)
            access = self._issuer.describe(row, following.generation, now, extend=extend)
            return Refreshed(access, None, None, no_room=error)
        if self._told.is_new(row.handle, following.generation):
            self._events.happened(
                Event.REFRESHED,
                session_handle=row.handle,
                user_id=tokens.access.user_id,
                generation=following.generation,
                **by(tokens.access.actor),
            )
        return Refreshed(tokens.access, tokens, None)


def already_rotated(late: RefreshToken) -> AlreadyRotated:
    """The answer to a late parent where a refresh was asked for."""
    return AlreadyRotated(late.handle, late.generation)
