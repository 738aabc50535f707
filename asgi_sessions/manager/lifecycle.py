"""Sessions from login to logout, by handle and by user: what a worker does with its database, without a request."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.beside import Beside
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.installation import Installation
from asgi_sessions.manager.issuing import Issuer, TokenSet
from asgi_sessions.manager.limiting import SessionLimit
from asgi_sessions.manager.refreshing import Refresher
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.manager.session import IssuedToken, SessionRecord, read_cursor
from asgi_sessions.manager.shutdown import Shutdown
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.standing import REPLACED, Standing
from asgi_sessions.manager.token_times import TokenTimes
from asgi_sessions.manager.unclaimed import UnclaimedSessions
from asgi_sessions.manager.verifying import Verifier
from asgi_sessions.manager.watching import Watch
from asgi_sessions.protocol import json_value, user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.connections import EARLIER, lasts_until
from asgi_sessions.protocol.lifetimes import from_ms
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.session_handle import is_handle, new_handle
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.watchers import Watchers
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.event_loop import require_loop
from asgi_sessions.store.repository import PAGE, SessionRepository, SessionRow

MAX_PAGE = 1000
"""Sessions that one call lists."""
MAX_INFO_BYTES = 1024 * 1024
"""Session info is read and written whole; what is larger belongs into the application's own tables."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a login comes from.

    Attributes:
        label: For people.
        ip_address: The client's, None where unknown.
    """

    label: str
    ip_address: str | None


class Lifecycle:
    """All that one worker's event loop knows and does about sessions.

    Attributes:
        settings: As given to the manager.
        clock: The time, ms: this worker's, or the database's where they are too far apart.
        keys: Signing keys and codecs.
        issuer: Makes tokens.
        revoker: Ends sessions.
        refresher: Rotation.
        verifier: Access tokens.
        payload_changes: Grows whenever this worker replaces a session's payload.
        shutdown: Whether the server has begun to stop.
    """

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        sessions: SessionRepository,
        feed: RevocationFeed | None,
        watchers: Watchers,
        events: Events,
        clock: Clocks,
        times: TokenTimes,
        announce: Callable[[], None],
        installation: Installation,
    ) -> None:
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.clock = clock
        self.keys = keys
        self.issuer = Issuer(settings, keys, clock)
        self.payload_changes = 0
        self.shutdown = Shutdown()
        self._sessions = sessions
        self._feed = feed
        self._watchers = watchers
        self._events = events
        self.revoker = Revoker(settings, sessions, feed, watchers, events, clock, announce)
        self._beside = Beside()
        self._unclaimed = UnclaimedSessions(self.revoker, self._beside)
        self._limit = SessionLimit(settings, installation, sessions, self.revoker, clock, self._beside)
        self._standing = Standing(settings, sessions, feed, clock)
        self.refresher = Refresher(settings, keys, self.issuer, sessions, self._standing, self.revoker, events, clock)
        self.verifier = Verifier(settings, keys, self.refresher, self._standing, feed, clock, times)

    def here(self) -> "Lifecycle":
        """This, for whoever runs on its event loop: a Session may have been carried to another one.

        Raises:
            ConfigurationError: The caller runs on another one, or on none.
        """
        require_loop(self._loop)
        return self

    async def create(
        self,
        owner: user_id.UserId,
        jwt_payload: Any,
        session_info: Any,
        *,
        device: Device,
        replaces: Iterable[str] = (),
    ) -> TokenSet:
        """Begin a session.

        Args:
            owner: Whose it is.
            jwt_payload: A JSON value, readable by the client, in every access token.
            session_info: A JSON value that stays in the database.
            device: Where the login comes from.
            replaces: Handles of sessions that the same jar held until now; they end.

        Raises:
            TypeError, ValueError: Something that cannot be kept exactly; nothing was stored.
            PayloadTooLarge: Likewise.
            SessionLimitReached: `max_sessions_per_user`, with the action ``reject``.
            StoreUnavailable: Nothing was handed out.
        """
        now = self.clock()
        first = RefreshToken.first(new_handle(), now)
        expires_at = now + self.settings.absolute_timeout_ms
        row = SessionRow(
            handle=first.handle,
            user_id=user_id.encode(owner),
            gen=first.generation,
            cur=first.lineage.token_hash,
            cur_iat=first.issued_at,
            prev=None,
            promoted_at=None,
            created_at=now,
            last_active_at=now,
            auth_time=now,
            expires_at=expires_at,
            idle_expires_at=min(now + self.settings.idle_timeout_ms, expires_at),
            revoked_at=None,
            revoked_reason=None,
            jwt_payload=json_value.dumps(jwt_payload, "jwt_payload"),
            device_label=device.label,
            ip_address=device.ip_address,
            session_info=_info_json(session_info),
        )
        tokens = await self.issuer.issue(row, first)
        await self._unclaimed.whole(self._begin(row, frozenset(replaces)), row.handle)
        self._events.happened(
            Event.CREATED, session_handle=row.handle, user_id=tokens.access.user_id, device=device.label
        )
        return tokens

    async def _begin(self, row: SessionRow, replaced: frozenset[str]) -> None:
        """Store a new session, within the limit, and end those that it replaces."""
        row = await self._limit.before(row, replaced)
        for handle in replaced:
            await self.revoker.revoke(handle, reason=REPLACED)
        await self._sessions.insert(row)
        await self._limit.after(row)

    def abandon(self, session_handle: str) -> None:
        """End a session whose tokens have never left, beside whatever is going on: nobody holds it."""
        self._unclaimed.end(session_handle)

    async def close(self) -> None:
        """Finish what is done beside requests."""
        await self._beside.close()

    async def list_of(
        self, owner: user_id.UserId, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord]:
        """A page of a user's live sessions, newest first; see `SessionManager.list_sessions_for_user`."""
        if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit: must be a whole number from 1 to {MAX_PAGE}")
        position = None if after is None else read_cursor(after)
        stored = user_id.storable(owner)
        if stored is None:
            return []
        rows = await self._sessions.list_of(stored, now=self.clock(), limit=limit, after=position)
        return [_record(row) for row in rows]

    async def handles_of(self, owner: user_id.UserId) -> list[str]:
        """The handles of a user's live sessions, newest first."""
        stored = user_id.storable(owner)
        return [] if stored is None else await self._sessions.handles_of(stored, now=self.clock())

    async def namesakes_of(self, owner: user_id.UserId) -> list[tuple[user_id.UserId, int]]:
        """Users of the same text and another type who have live sessions, and how many: is one of them meant?"""
        if user_id.storable(owner) is None:
            return []
        counts = [(other, len(await self.handles_of(other))) for other in user_id.namesakes(owner)]
        return [(other, count) for other, count in counts if count]

    async def get_info(self, session_handle: Any) -> Any:
        """The session's server-side data.

        Raises:
            Unauthorised: The session is gone.
        """
        if is_handle(session_handle):
            text = await self._sessions.get_info(session_handle, now=self.clock())
            if text is not None:
                return json_value.loads(text)
        raise await self._gone(session_handle)

    async def set_info(self, session_handle: Any, info: Any) -> None:
        """Replace the session's server-side data.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError: What cannot be kept exactly; nothing has changed.
        """
        text = _info_json(info)
        if not is_handle(session_handle) or not await self._sessions.set_info(session_handle, text, now=self.clock()):
            raise await self._gone(session_handle)

    async def set_payload(self, access: AccessToken, payload: Any) -> tuple[IssuedToken, AccessToken]:
        """Replace the payload in the row and in a new access token.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError, PayloadTooLarge: Nothing has changed.
        """
        text = json_value.dumps(payload, "jwt_payload")
        version = access.payload_version
        token, changed = await self.issuer.reissue(access, text, version + 1, new_payload=True)
        try:
            if await self._sessions.set_payload(access.handle, text, now=self.clock(), version=version):
                return token, changed
            # Somebody else has replaced it since the caller's token was made, or there is nothing to replace.
            if not await self._sessions.set_payload(access.handle, text, now=self.clock()):
                raise await self._gone(access.handle)
            return await self.newest(changed, fresh=True) or (token, changed)
        finally:
            self.payload_changes += 1  # answers that are under way may carry the payload of before

    async def newest(self, access: AccessToken, *, fresh: bool = False) -> tuple[IssuedToken, AccessToken] | None:
        """The same access token with the payload that the row has by now; None where it has that payload already.

        Args:
            access: The token.
            fresh: Read at the strongest consistency.

        Raises:
            Unauthorised: The session is gone.
            PayloadTooLarge: The payload does not fit into this token's cookie.
        """
        row = await self._standing.row(access.handle, fresh=fresh)
        version = row.payload_version
        if version == access.payload_version or (version < access.payload_version and not fresh):
            return None
        return await self.issuer.reissue(access, row.jwt_payload, version, new_payload=False)

    async def check(self, session_handle: str) -> None:
        """Ask the database whether the session stands.

        Raises:
            Unauthorised: It does not.
        """
        await self._standing.row(session_handle)

    def watch(
        self,
        access: AccessToken,
        ended: Callable[[], None],
        *,
        outlived: Callable[[], None] | None = None,
        stopping: Callable[[], None] | None = None,
        arrived_at: int | None = None,
    ) -> Watch:
        """Wait for a session's end: revoked on any worker, or at its absolute timeout.

        With ``revocation_check="none"`` a worker hears of its own revocations only.

        Args:
            access: Whose session.
            ended: Called once, soon where it is over already; must not block.
            outlived: Called in its place once a connection's time is over; must not block.
            stopping: Called in its place once the server begins to stop; must not block. None: it goes on.
            arrived_at: When the connection arrived, ms; None for what is no connection.
        """
        until = None
        if arrived_at is not None:
            # Connections that came together, after a restart, should not all come again together.
            earlier = random.uniform(0, EARLIER)  # noqa: S311 - no secret
            until = lasts_until(arrived_at, lifetime=self.settings.connection_lifetime_ms, earlier=earlier)
        watch = Watch(
            access,
            self._watchers,
            self.clock,
            ended,
            outlived=outlived,
            until=until,
            shutdown=self.shutdown,
            stopping=stopping,
        )
        if self._feed is not None and access.handle in self._feed:
            self._watchers.tell((access.handle,))
        return watch

    async def ended(self, access: AccessToken) -> None:
        """Return when the session has ended; see `watch`.

        Raises:
            StoreUnavailable: The database was to be asked whether it has ended long ago, and did not answer.
        """
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watch = self.watch(access, lambda: None if over.done() else over.set_result(None))
        try:
            if self._feed is None or not self.verifier.in_time(access):
                await self.check(access.handle)  # what the feed has forgotten by now, or never knew
            await over
        except Unauthorised:
            pass  # it has ended long ago
        finally:
            watch.cancel()

    async def _gone(self, session_handle: Any) -> Unauthorised:
        """The error for a session that a statement did not find, with the reason's word on the cookies."""
        if is_handle(session_handle):
            try:
                await self._standing.row(session_handle)
            except Unauthorised as error:
                return error
        return Unauthorised()


def _info_json(info: Any) -> str:
    text = json_value.dumps(info, "session_info")
    if len(text) > MAX_INFO_BYTES:
        raise ValueError(f"session_info is too large: {len(text)} bytes of JSON, at most {MAX_INFO_BYTES}.")
    return text


def _record(row: SessionRow) -> SessionRecord:
    return SessionRecord(
        session_handle=row.handle,
        user_id=user_id.decode(row.user_id),
        created_at=from_ms(row.created_at),
        last_active_at=from_ms(row.last_active_at),
        expires_at=from_ms(row.idle_expires_at),
        device_label=row.device_label,
        ip_address=row.ip_address,
    )
