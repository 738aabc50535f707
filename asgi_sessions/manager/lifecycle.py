"""Sessions from login to logout: what a worker does with its database, without a request.

The file is longer than others because it makes each of the parts, and hands them to each other.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.audit import Event, by
from asgi_sessions.manager.beside import Beside
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.end_watch import EndWatch
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.idle_clock import IdleClock
from asgi_sessions.manager.impersonating import Impersonator, in_which_acts
from asgi_sessions.manager.indexing import SessionIndex
from asgi_sessions.manager.installation import Installation
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.limit_function import LimitByUser
from asgi_sessions.manager.limiting import SessionLimit
from asgi_sessions.manager.listing import SessionLists
from asgi_sessions.manager.liveness import REPLACED, LivenessCheck
from asgi_sessions.manager.login_lifetimes import LoginLifetimes
from asgi_sessions.manager.payload_changing import PayloadChanger
from asgi_sessions.manager.pending_termination import PendingTermination
from asgi_sessions.manager.personal_data import PersonalData
from asgi_sessions.manager.records import Device, Login, SessionRecord, TokenSet
from asgi_sessions.manager.refreshing import Refresher
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.manager.rotating import Rotation
from asgi_sessions.manager.session_data import SessionData, info_json
from asgi_sessions.manager.shutdown import Shutdown
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.stepping_up import StepUp
from asgi_sessions.manager.token_first_use import FirstUses
from asgi_sessions.manager.token_times import TokenTimes
from asgi_sessions.manager.unclaimed import UnclaimedSessions
from asgi_sessions.manager.verifying import Verifier
from asgi_sessions.protocol import authentication_methods, json_value, user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.connections import EARLIER, lasts_until
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.session_handle import new_handle
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.event_loop import require_loop
from asgi_sessions.store.index_rows import SessionIndexStore
from asgi_sessions.store.marks import MarkStore
from asgi_sessions.store.notifications import NotificationStore
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository, SessionRow


class Lifecycle:
    """What is done with sessions on one event loop: owns the parts that issue, verify, refresh, list and end them.

    Nothing in it has to be opened or closed but the work that it does beside requests: `Runtime` owns the rest.

    Attributes:
        settings: The manager's settings.
        clock: The time, ms: this worker's, or the database's where they are too far apart.
        keys: Signing keys and codecs.
        issuer: Makes tokens.
        revoker: Ends sessions.
        refresher: Answers refresh tokens.
        verifier: Verifies access tokens.
        end_watch: Hears of the ends of sessions.
        lists: The sessions of a user.
        data: The info and the payload of a session.
        impersonator: Who may act as another user.
        step_up: The methods by which a session's user has been authenticated.
        payloads: Changes payloads for others than the session's own response.
        personal_data: All that is kept about a user.
        index: Sessions by what they belong to.
        notifications: The ends that are told elsewhere.
        events: The audit log and the hooks.
        shutdown: Whether the server has begun to stop.
    """

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        sessions: SessionRepository,
        payload_changes: PayloadChangeStore,
        session_index: SessionIndexStore,
        marks: MarkStore,
        notifications: NotificationStore,
        feed: RevocationFeed | None,
        listeners: TerminationListeners,
        events: Events,
        clock: Clocks,
        times: TokenTimes,
        announce: Callable[[], None],
        installation: Installation,
        limit_by_user: LimitByUser,
        claims: Claims,
    ) -> None:
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.clock = clock
        self.keys = keys
        self.issuer = Issuer(settings, keys, clock)
        self._claims = claims
        self.shutdown = Shutdown()
        self._lifetimes = LoginLifetimes(settings)
        self._sessions = sessions
        self._feed = feed
        self._listeners = listeners
        self.end_watch = EndWatch(feed, listeners)
        self.events = events
        self.revoker = Revoker(settings, sessions, feed, listeners, events, clock, announce)
        self._beside = Beside()
        self._unclaimed = UnclaimedSessions(self.revoker, self._beside)
        self._limit = SessionLimit(settings, installation, sessions, self.revoker, clock, self._beside, limit_by_user)
        self._liveness = LivenessCheck(settings, sessions, feed, clock)
        self.lists = SessionLists(sessions, clock)
        self.data = SessionData(sessions, self.issuer, self._liveness, claims, clock)
        self.impersonator = Impersonator(sessions, self.revoker, self._liveness, clock)
        self.step_up = StepUp(sessions, self.issuer, self._liveness, self.data, events, clock)
        self.payloads = PayloadChanger(
            sessions, payload_changes, self.data, self.issuer, self._liveness, claims, feed, events, clock, announce
        )
        self.notifications = notifications
        self.personal_data = PersonalData(sessions, notifications, self.revoker)
        self.index = SessionIndex(session_index, marks, self._liveness, self.revoker, clock)
        idle_clock = self._idle_clock = IdleClock(settings, sessions, self._liveness, clock)
        rotation = Rotation(settings, sessions, self._liveness, self.revoker, idle_clock, clock)
        self.refresher = Refresher(settings, keys, self.issuer, sessions, rotation, idle_clock, claims, events, clock)
        first_uses = FirstUses(settings, rotation, clock.given) if settings.promote_on == "first_use" else None
        self.verifier = Verifier(settings, keys, self._liveness, first_uses, idle_clock, feed, clock, times)

    def here(self) -> "Lifecycle":
        """This object, if the caller runs on its event loop: a Session may have been passed to another one.

        Raises:
            ConfigurationError: The caller runs on another one, or on none.
        """
        require_loop(self._loop)
        return self

    async def create(
        self, login: Login, *, device: Device, replaces: Mapping[str, AccessToken | None] = MappingProxyType({})
    ) -> TokenSet:
        """Begin a session.

        Args:
            login: What the application says of it.
            device: The device of the login.
            replaces: The sessions that the same jar held until now, by their handles; they end.

        Raises:
            TypeError, ValueError: Something that cannot be kept exactly; nothing was stored.
            PayloadTooLarge: Likewise.
            SessionLimitReached: `max_sessions_per_user`, with the action ``reject``.
            Unauthorised: Whoever is to act in the session has been logged out meanwhile.
            StoreUnavailable: Nothing was handed out.
        """
        now = self.clock()
        first = RefreshToken.first(new_handle(), now)
        lifetime = self._lifetimes.of(login, now)
        row = SessionRow(
            handle=first.handle,
            user_id=user_id.encode(login.user_id),
            gen=first.generation,
            cur=first.lineage.token_hash,
            cur_iat=first.issued_at,
            prev=None,
            promoted_at=None,
            created_at=now,
            last_active_at=now,
            auth_time=now,
            expires_at=lifetime.expires_at,
            idle_expires_at=self.settings.idle_timeouts.expiry(now, lifetime),
            revoked_at=None,
            revoked_reason=None,
            jwt_payload=json_value.dumps(login.jwt_payload, "jwt_payload"),
            device_label=device.label,
            ip_address=device.ip_address,
            idle_timeout=lifetime.idle_timeout,
            persistent=int(lifetime.persistent),
            session_info=info_json(login.session_info),
            methods=authentication_methods.written(authentication_methods.added((), login.methods, now)),
        )
        if login.impersonation is not None:
            row = in_which_acts(row, login.impersonation)
        tokens = await self.issuer.issue(row, first)
        claimed = await self._claims.of(row, self.issuer)
        if claimed != row.jwt_payload:
            row = replace(row, jwt_payload=claimed)
            tokens = await self.issuer.issue(row, first)
        evicted: list[SessionRecord] = []
        await self._unclaimed.whole(self._begin(row, replaces, evicted, login), row.handle)
        more: dict[str, Any] = {"methods": login.methods} if login.methods else {}
        self.events.happened(
            Event.CREATED,
            session_handle=row.handle,
            user_id=tokens.access.user_id,
            device=device.label,
            **more,
            **by(tokens.access.actor),
        )
        return replace(tokens, evicted=tuple(evicted)) if evicted else tokens

    async def _begin(
        self,
        row: SessionRow,
        replaced: Mapping[str, AccessToken | None],
        evicted: list[SessionRecord],
        login: Login,
    ) -> None:
        """Store a new session, within the limit, and end those that it replaces, or that are too many."""
        impersonation = login.impersonation
        allowed = await self._limit.of(row)
        row = await self._limit.before(row, replaced, allowed, evicted)
        for handle, access in replaced.items():
            if impersonation is None or handle != impersonation.session_handle:
                await self.revoker.revoke(handle, reason=REPLACED, actor=None if access is None else access.actor)
        await self.index.begin(row.handle, row.created_at, login.index)
        await self._sessions.insert(row)
        await self.index.require_not_ended(row, login.index)
        if impersonation is not None:
            await self.impersonator.require_actor(row, impersonation, replaced)
        await self._limit.after(row, allowed, evicted)

    def abandon(self, session_handle: str) -> None:
        """End a session whose tokens have never left, without waiting for it: nobody holds it."""
        self._unclaimed.end(session_handle)

    def start_beside(self, work: Coroutine[Any, Any, None], *, at_most: int) -> "asyncio.Task[None] | None":
        """Start what is to be done whatever becomes of the request; None where so much is under way already.

        Args:
            work: It must handle its own errors.
            at_most: So many tasks.
        """
        if len(self._beside) >= at_most:
            work.close()
            return None
        return self._beside.start(work)

    async def close(self) -> None:
        """Finish what is done beside requests."""
        await self._beside.close()

    async def check(self, access: AccessToken, *, extend: bool = False) -> AccessToken:
        """Ask the database whether the session stands; returns its access token with the newest payload.

        Args:
            access: An access token of the session, which may have expired.
            extend: Whether who asks extends the session.

        Raises:
            Unauthorised: It does not.
        """
        newest = await self._liveness.newest(access)
        if extend:
            await self._idle_clock.used(access)
        return newest

    async def idle_expires_at(self, session_handle: str) -> int:
        """When the session ends unless it is used before, ms, as the database has it.

        Raises:
            Unauthorised: It has ended.
        """
        return (await self._liveness.live_row(session_handle)).idle_expires_at

    def on_termination(
        self,
        access: AccessToken,
        ended: Callable[[], None],
        *,
        outlived: Callable[[], None] | None = None,
        stopping: Callable[[], None] | None = None,
        arrived_at: int | None = None,
    ) -> PendingTermination:
        """Wait for a session's end: revoked on any worker, or at its absolute timeout.

        With ``revocation_check="none"`` a worker hears of its own revocations only.

        Args:
            access: An access token of the session.
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
        pending = PendingTermination(
            access,
            self._listeners,
            self.clock,
            ended,
            outlived=outlived,
            until=until,
            shutdown=self.shutdown,
            stopping=stopping,
        )
        if self._feed is not None and access.handle in self._feed:
            self._listeners.notify((access.handle,))
        return pending

    async def wait_until_ended(self, access: AccessToken) -> None:
        """Return when the session has ended; see `on_termination`.

        Raises:
            StoreUnavailable: The database was to be asked whether it has ended long ago, and did not answer.
        """
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = self.on_termination(access, lambda: None if over.done() else over.set_result(None))
        try:
            if self._feed is None or not self.verifier.in_time(access):
                await self.check(access)  # what the feed has forgotten by now, or never knew
            await over
        except Unauthorised:
            pass  # it had ended before
        finally:
            pending.cancel()
