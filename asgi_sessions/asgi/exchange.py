"""One request or WebSocket on its way through the middleware: who it is, and which tokens leave with the answer."""

import asyncio
import logging
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.types import Message, Receive, Scope, Send

from asgi_sessions.asgi import presented
from asgi_sessions.asgi.answer import MAX_ANSWER_AGE_MS, Answer
from asgi_sessions.asgi.cross_site import CrossSiteGuard
from asgi_sessions.asgi.error_responses import answerable, install_default_handler
from asgi_sessions.asgi.transport import Credentials, Transport, header_values, request_path
from asgi_sessions.errors import (
    ConfigurationError,
    SessionError,
    StoreUnavailable,
    TokenTheftDetected,
    TooManyCookies,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.manager.connection import FINISHED_KEY, UNRESOLVED, Finished, SessionConnection, Unresolved
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.records import Device, IssuedToken
from asgi_sessions.manager.refreshing import already_rotated
from asgi_sessions.manager.session import Session
from asgi_sessions.manager.watching import Watch
from asgi_sessions.protocol import device
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.connections import came_in_time, is_over
from asgi_sessions.protocol.cookies import only_value
from asgi_sessions.protocol.csrf import SAFE_METHODS
from asgi_sessions.protocol.retry_marker import marker_lifetime
from asgi_sessions.protocol.user_id import UserId

if TYPE_CHECKING:
    from asgi_sessions.asgi.ending import Ending
    from asgi_sessions.manager.manager import SessionManager

_ADDRESS = re.compile(r"[0-9A-Za-z.:_-]{1,45}")  # the longest IPv6 address has 45 characters
_log = logging.getLogger(__name__)


class _NotHere(TryRefreshToken):
    """No session on this request, and no reason to refuse it where none is required.

    A bearer token that is not ours, or another site's image or frame, which may not refresh.
    """


class Renewal(Enum):
    """How the application has given the connection other tokens than those it came with."""

    LOGIN = auto()
    REFRESH = auto()


class Outcome(NamedTuple):
    """What a connection that is over has become, beyond what its headers say.

    Attributes:
        access: The last access token, None if there was none.
        presented: The one that the request came with.
        renewal: How it was replaced.
        over: Whether the session ended on the connection itself.
        inner: The same of another manager's middleware inside, None if there was none.
    """

    access: AccessToken | None
    presented: AccessToken | None
    renewal: Renewal | None
    over: bool
    inner: Finished | None


class Exchange:
    """The middleware's memory of one connection.

    Attributes:
        manager: Whose it is.
        outer: The exchange of another manager's middleware around this one.
        receive: What the application hears.
        session: What the application has been given. It lets go of the exchange when the application has returned, lest
            the two keep each other alive.
        ending: The end of a connection that may outlast its session.
        arrived_at: When the connection came, ms, by this worker's own clock; see `_arrived`.
        begun_answer: What leaves with the response, as far as there is any of it; None where that is a Vary at most.
    """

    # Slots, and all of them filled: an attribute that only the class has is slow to find.
    __slots__ = (
        "_access",
        "_lock",
        "_looked",
        "_presented",
        "_renewal",
        "_scope",
        "_started",
        "_to_server",
        "_transport",
        "arrived_at",
        "begun_answer",
        "ending",
        "manager",
        "outer",
        "receive",
        "session",
    )

    def __init__(
        self,
        manager: "SessionManager",
        transport: Transport,
        scope: Scope,
        outer: SessionConnection | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self.manager = manager
        self.outer = outer
        self.receive = receive
        self.session: Session[Any, Any] | None = None
        self.ending: Ending | None = None
        self._transport = transport
        self._scope = scope
        self._to_server = send
        self.begun_answer: Answer | None = None
        self._access: AccessToken | None = None  # the session's, from when it is known or made
        self._presented: AccessToken | None = None  # what the request came with
        self._lock: asyncio.Lock | None = None
        self._looked = False  # whether the application asked for the session
        self._started = False  # whether the response has, before there was an `Answer`
        self._renewal: Renewal | None = None
        clock = manager.clock
        self.arrived_at = clock()

    @property
    def answer(self) -> Answer:
        """What leaves with the response."""
        if self.begun_answer is None:
            self.begun_answer = Answer(self._transport, self._scope, self.manager.time)
            self.begun_answer.started = self._started
        return self.begun_answer

    # -- what applications ask for, through the manager or a dependency; one after the other on one connection

    async def create(self, owner: UserId, jwt_payload: Any, session_info: Any) -> Session[Any, Any]:
        """Log in; see `SessionManager.create_new_session`."""
        lifecycle = self.manager.lifecycle
        if self.answer.started:
            raise ConfigurationError("The response has started: create_new_session can no longer set its cookies.")
        self._needs_tokens("create_new_session")
        carried = self._transport.read(self._headers)
        if not (carried.bearer or self.answer.in_headers):
            self._guard.check_origin(carried)
        async with self._one_at_a_time:
            replaces = await self._handles_in(lifecycle, carried)
            tokens = await lifecycle.create(owner, jwt_payload, session_info, device=self._device(), replaces=replaces)
            self.answer.issued(tokens, **self._now(lifecycle))
            self._renewal = Renewal.LOGIN
            if not self.answer.in_headers:
                self._transport.plain_http.look(self._scope)
            return self._take(tokens.access, lifecycle)

    def recognise(
        self, required: bool, csrf: bool | None, check_database: bool
    ) -> Session[Any, Any] | Unresolved | None:
        """Who is logged in, when asked for the first time and where this worker can tell by itself, as mostly.

        Awaits nothing, and so needs no lock.

        Raises:
            Unauthorised: Nobody.
            CsrfRejected: Another site's page made the request.
        """
        lifecycle = self.manager.lifecycle
        self._looked = True
        if self._access is not None or self._lock is not None:
            return UNRESOLVED
        names = self._transport.names_alone
        token = None if names is None else only_value(self._scope["headers"], names)
        if not token:
            if token is None:
                return UNRESOLVED
            if required:
                raise Unauthorised
            return None
        verifier = lifecycle.verifier
        access = None if check_database else verifier.tokens[token]
        if access is None or not verifier.is_known_live(access):
            return UNRESOLVED
        # A page of any site may open a socket, whatever the server calls its method.
        if csrf or self._scope.get("method") not in SAFE_METHODS or self._scope["type"] == "websocket":
            self._guard.check(access, csrf, bearer=False)
        self._presented = access
        return self._take(access, lifecycle)

    async def resolve(
        self, *, required: bool = True, csrf: bool | None = None, check_database: bool = False
    ) -> Session[Any, Any] | None:
        """Who is logged in; see `SessionManager.get_session`."""
        lifecycle = self.manager.lifecycle
        self._looked = True
        async with self._one_at_a_time:
            try:
                return await self._resolve(lifecycle, csrf, check_database)
            except (Unauthorised, TokenTheftDetected) as error:
                self.answer.refused(error)
                if required or isinstance(error, TokenTheftDetected):
                    raise
            except _NotHere:
                if required:
                    raise
        return None

    async def refresh(self) -> Session[Any, Any]:
        """Rotate; see `SessionManager.refresh_session`."""
        lifecycle = self.manager.lifecycle
        self._looked = True
        self._needs_tokens("refresh_session")
        carried = self._transport.read(self._headers, refreshing=True)
        if not carried.bearer:
            self._guard.check_origin(carried, method="POST")
        async with self._one_at_a_time:
            try:
                access = await presented.access_token(lifecycle, carried)
                session = await self._refresh(lifecycle, carried, access, inline=False)
            except (Unauthorised, TokenTheftDetected) as error:
                self.answer.refused(error)
                raise
            self._renewal = Renewal.REFRESH
            return session

    async def sign_out(self) -> bool:
        """End every session that the request proves to hold, by tokens that may have expired, and clear the cookies.

        Returns:
            Whether one was still alive.
        """
        lifecycle = self.manager.lifecycle
        self._looked = True
        carried = self._transport.read(self._headers)
        if not carried.bearer:
            self._guard.check_origin(carried, method="POST")
        async with self._one_at_a_time:
            revoked = [await lifecycle.revoker.revoke(handle) for handle in await self._handles_in(lifecycle, carried)]
            self.answer.ended(by_user=True)
        return any(revoked)

    async def look_again(self) -> None:
        """Before an answer starts: let its tokens leave only while they are good, and with the newest payload.

        Every answer with tokens goes this way, whichever call made them. The jar may hold another session's by now,
        nothing after a logout, or those of a newer answer; late cookies would overwrite that.
        """
        answer = self.answer
        access = answer.access
        if access is None:
            return
        lifecycle = self.manager.lifecycle
        if not answer.needs_a_look(lifecycle.data.payload_changes):
            return
        if answer.too_late:
            if answer.logged_in:
                lifecycle.abandon(access.handle)
                _log.warning("Session %s: the response took too long to log the user in.", access.handle)
            else:
                _log.info("Session %s: the response took too long to carry its new tokens.", access.handle)
            answer.withdraw()
            return
        try:
            newest = await lifecycle.data.newest(access)
        except StoreUnavailable:
            if not answer.logged_in:  # nobody else holds what a login has begun: it stands, as far as one can know
                answer.withdraw()
        except SessionError:
            answer.withdraw()
        else:
            if newest is not None:
                answer.access_token_changed(*newest)

    def access_token_changed(self, token: IssuedToken, access: AccessToken) -> None:
        """The application has changed what the access token says: the new one leaves with the response."""
        self._access = access
        self.answer.access_token_changed(token, access)

    @property
    def holds_session(self) -> bool:
        """Whether the connection has a session that this very connection has not ended."""
        return self._access is not None and (self.begun_answer is None or not self.begun_answer.over)

    @property
    def signed_out(self) -> bool:
        """Whether the application has ended its session on this very connection, so that it knows."""
        return self._access is not None and self.answer.signed_out == self._access.handle

    @property
    def had_session(self) -> bool:
        """Whether the connection has, or had, a session."""
        return self._access is not None

    def watch(
        self, ended: Callable[[], None], outlived: Callable[[], None], stopping: Callable[[], None] | None
    ) -> Watch:
        """Have one of these called, whichever comes first.

        Args:
            ended: When the connection's session ends.
            outlived: When the connection's own time is over.
            stopping: When the server begins to stop; None where that is no reason to end it.
        """
        if self._access is None:
            raise Unauthorised
        return self.manager.lifecycle.watch(
            self._access, ended, outlived=outlived, stopping=stopping, arrived_at=self._arrived
        )

    def serve(self, scope: Scope) -> None:
        """Let errors be answered where the application asks, which may be a mounted one with a copy of the scope."""
        install_default_handler(scope)

    async def answered(self, error: Exception) -> bool:
        """Whether the application's error needs no other answer: it has one now, or only tells of the session's end."""
        if self.ending is not None and self.ending.consequence(error):
            return True
        answered = answerable(error)
        if answered is None or self.answer.started:
            return False
        await self._respond(answered)
        return True

    def cut_off(self) -> None:
        """The application was cancelled, has failed, or leaves a socket without an answer to its handshake.

        No response of this connection says what it has done: its client has gone, or is answered further out, where no
        cookies are set. A session that it has begun is nobody's then.
        """
        self._abandon_login()
        self._started = self.answer.started = True  # for a task left behind, that nothing can leave any more

    # -- afterwards; see `finished`

    def shared(self) -> None:
        """Another manager's middleware inside has the connection as well."""
        self.answer.shared = True

    def outcome(self) -> Outcome:
        """What has become of the connection, now that it is over."""
        answer = self.answer
        inner = self._scope.get(FINISHED_KEY) if answer.shared else None
        return Outcome(self._access, self._presented, self._renewal, answer.over, inner)

    def resume(self, arrived_at: int, outcome: Outcome | None) -> None:
        """Be a connection that is over."""
        self.arrived_at, self._started = arrived_at, True
        if outcome is not None:
            self._access, self._presented, self._renewal = outcome.access, outcome.presented, outcome.renewal
            if outcome.over:
                self.answer.ended(by_user=False)

    # -- who it is

    async def _resolve(self, lifecycle: Lifecycle, csrf: bool | None, check_database: bool) -> Session[Any, Any]:
        if self.answer.over:
            raise Unauthorised
        if self._renewal is not Renewal.LOGIN and self._is_over(lifecycle):
            raise TryRefreshToken  # what it came with has been good for long enough: the client comes again
        access = self._access
        carried = self._transport.read(self._headers)
        if access is not None:
            session = self.session or Session(access, lifecycle, self)
            if self._renewal is None:  # else the request came with what no longer counts
                self._guard.check(self._presented, csrf, bearer=carried.bearer)
            if lifecycle.verifier.in_time(access):
                await lifecycle.verifier.require_live(access, check_database=check_database)
                return session
            if self.answer.started or self._renewal is Renewal.LOGIN or self._came_in_time(access):
                # The socket or stream was opened in time; it goes on for as long as the session does. Its refresh
                # token is as old as the request: judged again, a long stream would look like a thief.
                await lifecycle.check(access.handle)
                return session
        access = self._presented = await presented.access_token(lifecycle, carried)
        inline = lifecycle.settings.refresh == "inline" and not carried.bearer
        if access is not None and self._came_in_time(access):
            self._supertokens_needs_id(carried)
            self._guard.check(access, csrf, bearer=carried.bearer)
            try:
                return await self._accept(lifecycle, access, check_database)
            except TryRefreshToken:
                # Its generation was left behind, and who should refresh but the middleware?
                if not (inline and carried.refresh):
                    raise
            except Unauthorised:
                if not (inline and await self._is_left_over(lifecycle, carried, access)):
                    raise
        if not inline:
            self._supertokens_needs_id(carried)
            if carried.bearer and access is None:
                raise _NotHere
            if carried.access or carried.refresh or carried.ids:
                raise TryRefreshToken
            raise Unauthorised
        if not carried.refresh:
            if access is not None and self._transport.may_hide_refresh(request_path(self._scope)):
                raise TryRefreshToken  # it has the path of earlier settings: the client can ask where it comes
            raise Unauthorised
        self._guard.check(access, csrf, bearer=carried.bearer)
        return await self._refresh(lifecycle, carried, access, inline=True)

    async def _accept(self, lifecycle: Lifecycle, access: AccessToken, check_database: bool) -> Session[Any, Any]:
        """Whom an access token stands for that was in time when the request arrived."""
        # A slow upload is no reason to refresh; but what outlived its token is looked up.
        outlived = not lifecycle.verifier.in_time(access)
        await lifecycle.verifier.require_live(access, check_database=check_database or outlived)
        if lifecycle.verifier.wants_rewrite(access) and self._carries_tokens:
            token, access = await lifecycle.issuer.rewrite_as_promoted(access)
            self.access_token_changed(token, access)
        return self._take(access, lifecycle)

    async def _refresh(
        self, lifecycle: Lifecycle, carried: Credentials, access: AccessToken | None, *, inline: bool
    ) -> Session[Any, Any]:
        try:
            token = await presented.refresh_token(lifecycle, carried, access)
        except Unauthorised:
            if access is None or not await self._is_left_over(lifecycle, carried, access):
                raise
            access = None
            token = await presented.refresh_token(lifecycle, carried, access)
        began = self._now(lifecycle)
        if inline and not self._guard.may_refresh_inline():
            raise _NotHere
        refreshed = await lifecycle.refresher.refresh(
            token,
            retry_marker=carried.retry_marker,
            # The pages of an inline application learn no new token with each answer, so that it has to last.
            carries_over=access if inline else None,
            issue=self._carries_tokens and not (inline and self._age > MAX_ANSWER_AGE_MS),
            arrived_at=self._arrived,
            serves_parents=inline,
        )
        if refreshed.tokens is not None:
            self.answer.refreshed(refreshed.tokens, **began, forget_marker=carried.retry_marker is not None)
        elif refreshed.late is None:
            self.answer.without_tokens()
        else:
            late = refreshed.late
            settings = lifecycle.settings
            lasts = marker_lifetime(settings.late_parent_window_ms, settings.max_clock_difference_ms)
            marker = lifecycle.keys.retry_markers.encode(late.handle, late.generation, lifecycle.clock() + lasts)
            self.answer.without_tokens(marker=marker)
            if not refreshed.served:
                raise already_rotated(late)
        return self._take(refreshed.access, lifecycle)

    async def _is_left_over(self, lifecycle: Lifecycle, carried: Credentials, access: AccessToken) -> bool:
        """Whether an access token of a session that has ended lies beside the refresh token of another session.

        A late answer of an older version, or of a login in another tab, has put it over the newer one. It opens
        nothing, so the refresh token alone counts; but only where nobody but this host can have set that.
        """
        if carried.bearer or len(carried.refresh) != 1 or not self._transport.only_host_sets_refresh:
            return False
        other = await lifecycle.refresher.authentic(carried.refresh[0])
        if other is None or other.handle == access.handle:
            return False
        try:
            await lifecycle.check(access.handle)
        except Unauthorised:
            return True
        return False

    async def _handles_in(self, lifecycle: Lifecycle, carried: Credentials) -> list[str]:
        """Every session that the request proves to hold, and that of a login on this very connection."""
        own = [self._access.handle] if self._renewal is Renewal.LOGIN and self._access is not None else []
        try:
            return list(dict.fromkeys([*own, *await presented.handles(lifecycle, carried)]))
        except TooManyCookies:
            self.answer.forget_older()
            raise

    def _supertokens_needs_id(self, carried: Credentials) -> None:
        # The old browser client takes the session for ended when this cookie is gone, and so must we.
        if self.manager.settings.speaks_supertokens and not carried.bearer and not carried.ids:
            raise Unauthorised

    # -- small things

    @staticmethod
    def _now(lifecycle: Lifecycle) -> dict[str, int]:
        """Since when others may do what the tokens that are made now know nothing of; see `Answer.issued`."""
        return {"made_at": lifecycle.clock(), "payload_changes": lifecycle.data.payload_changes}

    @property
    def _age(self) -> int:
        """For how long the connection has been open, ms."""
        return self.manager.clock() - self.arrived_at

    @property
    def _arrived(self) -> int:
        """When the connection arrived, ms, by the time that tokens and rows are held against."""
        return self.manager.lifecycle.clock.corrected(self.arrived_at)

    def _came_in_time(self, access: AccessToken) -> bool:
        """Whether the token had not expired when the request arrived."""
        return came_in_time(self._arrived, expires_at=access.expires_at)

    def _is_over(self, lifecycle: Lifecycle) -> bool:
        """Whether what the connection came with has been good for long enough, by the clock of its arrival."""
        lifetime = lifecycle.settings.connection_lifetime_ms
        return is_over(self.arrived_at, now=self.manager.clock(), lifetime=lifetime)

    @property
    def _carries_tokens(self) -> bool:
        """Whether tokens that are made now can leave."""
        return not self.answer.started

    def _needs_tokens(self, method: str) -> None:
        """Raise where the answer can never carry what this method of the manager makes."""

    @property
    def _one_at_a_time(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def _take(self, access: AccessToken, lifecycle: Lifecycle) -> Session[Any, Any]:
        session = self.session = Session(access, lifecycle, self)
        self._access = access
        if self.ending is not None:
            self.ending.session_taken()
        return session

    async def _let_out(self, start: Message) -> None:
        """Send what begins the response: it carries the tokens, and where it does not leave nobody holds them."""
        try:
            await self._to_server(start)
        except BaseException:
            self._abandon_login()
            raise
        self.answer.logged_in = False  # an application's mistakes from now on are no reason to end it

    def _abandon_login(self) -> None:
        """End a session that was begun on this connection and whose tokens have not left."""
        answer = self.begun_answer
        if answer is not None and answer.logged_in and answer.access is not None:
            self.manager.lifecycle.abandon(answer.access.handle)
            answer.logged_in = False

    async def _respond(self, error: SessionError) -> None:
        """Answer in place of the application, whose error it is."""
        raise NotImplementedError

    def _device(self) -> Device:
        agents = header_values(self._headers, b"user-agent")
        client = self._scope.get("client")
        return Device(device.label(agents[0] if agents else None), _address(client[0]) if client else None)

    @property
    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        return headers

    @property
    def _guard(self) -> CrossSiteGuard:
        return CrossSiteGuard(self.manager, self._scope)


def _address(host: str) -> str | None:
    """The client's address without its zone; None for what is none: behind a proxy clients may choose the text."""
    address = host.partition("%")[0]
    return address if _ADDRESS.fullmatch(address) else None
