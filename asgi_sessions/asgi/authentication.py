"""Which session a request has: the rules in order, and the fast path that skips rules whose result is known.

Each rule decides, by a session or an error, or leaves the request to the next one. The order stands once, in
`Authentication._RULES`:

====================  ================================================  ============================================
rule                  decides                                           why `recognise` may skip it
====================  ================================================  ============================================
`_session_ended`      the session has ended on this connection: nobody  it serves the first question alone, before
                                                                        anything has ended
`_outlasted`          the connection has gone on for                    a token that is good now has come with the
                      ``connection_lifetime``: the client comes again   request, and lasts no longer than that
`_known_already`      an earlier question has found the session         it serves the first question alone
`_by_access_token`    the request came with a good access token         never: it takes the same token, verified by
                                                                        the same verifier, past the same guard
`_for_the_client`     the client has to refresh, or nobody is logged    without any of our cookies nobody is; with
                      in; not with ``refresh="inline"``                 one and no good token it leaves all to here
`_by_refresh_token`   the request came with a good refresh token        likewise
====================  ================================================  ============================================
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from asgi_sessions.asgi import presented
from asgi_sessions.asgi.answer import MAX_ANSWER_AGE_MS
from asgi_sessions.asgi.background import is_background
from asgi_sessions.asgi.connection_memory import ConnectionMemory
from asgi_sessions.asgi.credentials import Credentials
from asgi_sessions.asgi.outcome import Renewal
from asgi_sessions.asgi.transport import request_path
from asgi_sessions.errors import PayloadTooLarge, TokenTheftDetected, TryRefreshToken, Unauthorised
from asgi_sessions.manager.connection import UNRESOLVED, Unresolved
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.refreshing import already_rotated
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.cookies import only_value
from asgi_sessions.protocol.csrf import EXEMPT

AnySession: TypeAlias = Session[Any, Any]


class _NotHere(TryRefreshToken):
    """No session on this request, and no reason to refuse it where none is required.

    A bearer token that is not ours, or another site's image or frame, which may not refresh.
    """


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One question who is logged in.

    Attributes:
        lifecycle: The worker's.
        carried: What the request carries.
        csrf: See `CrossSiteGuard.check`.
        check_database: Whether the database is to be asked in any case.
        extend: Whether who asks extends the session.
    """

    lifecycle: Lifecycle
    carried: Credentials
    csrf: bool | None
    check_database: bool
    extend: bool

    @property
    def inline(self) -> bool:
        """Whether the middleware refreshes for this client."""
        return self.lifecycle.settings.refresh == "inline" and not self.carried.bearer


class Authentication(ConnectionMemory):
    """A connection that can tell who is logged in."""

    __slots__ = ()

    def recognise(self, required: bool, csrf: bool | None, check_database: bool) -> AnySession | Unresolved | None:
        """Who is logged in, as `resolve` says it, where this worker can tell by itself and at once, as mostly.

        It awaits nothing, and so needs no lock.

        Returns:
            UNRESOLVED where it cannot tell.

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
        if csrf or (self._scope["type"], self._scope.get("method")) not in EXEMPT:
            self._guard.check(access, csrf, bearer=False)
        self._presented = access
        return self._take(access, lifecycle)

    async def resolve(
        self,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
        extend: bool | None = None,
    ) -> AnySession | None:
        """Who is logged in; see `SessionManager.get_session`."""
        lifecycle = self.manager.lifecycle
        self._looked = True
        async with self._one_at_a_time:
            try:
                carried = self._transport.read(self._headers)
                inquiry = Inquiry(lifecycle, carried, csrf, check_database, self._extends(extend, carried))
                return await self._decide(inquiry)
            except (Unauthorised, TokenTheftDetected) as error:
                self.answer.refused(error)
                if required or isinstance(error, TokenTheftDetected):
                    raise
            except _NotHere:
                if required:
                    raise
        return None

    async def _decide(self, inquiry: Inquiry) -> AnySession:
        for rule in self._RULES:
            session = await rule(self, inquiry)
            if session is not None:
                return session
        return await self._by_refresh_token(inquiry)

    # -- the rules

    async def _session_ended(self, _: Inquiry) -> None:
        if self.answer.session_has_ended:
            raise Unauthorised

    async def _outlasted(self, inquiry: Inquiry) -> None:
        if inquiry.carried.empty or self._renewal is Renewal.LOGIN:
            return  # it came with nothing that could be good for too long
        if self._has_outlasted_its_tokens(inquiry.lifecycle):
            raise TryRefreshToken

    async def _known_already(self, inquiry: Inquiry) -> AnySession | None:
        lifecycle, access = inquiry.lifecycle, self._access
        if access is None:
            return None
        if self._renewal is None:  # else the request came with what no longer counts
            self._guard.check(self._presented, inquiry.csrf, bearer=inquiry.carried.bearer)
        if lifecycle.verifier.in_time(access):
            newest = await self._live(inquiry, access, inquiry.check_database)
            return self._again(access, newest, lifecycle)
        if self._has_begun or self._renewal is Renewal.LOGIN or self._came_in_time(access):
            # The socket or stream was opened in time; it goes on for as long as the session does. Its refresh
            # token is as old as the request: judged again, a long stream would look like a thief.
            return self._again(access, await lifecycle.check(access, extend=inquiry.extend), lifecycle)
        return None

    async def _by_access_token(self, inquiry: Inquiry) -> AnySession | None:
        lifecycle, carried = inquiry.lifecycle, inquiry.carried
        access = self._presented = await presented.access_token(lifecycle, carried)
        if access is None or not self._came_in_time(access):
            return None
        self._supertokens_needs_id(carried)
        self._guard.check(access, inquiry.csrf, bearer=carried.bearer)
        try:
            return await self._accept(inquiry, access)
        except TryRefreshToken:
            # Its generation was left behind, and who should refresh but the middleware?
            if not (inquiry.inline and carried.refresh):
                raise
        except Unauthorised:
            if not (inquiry.inline and await presented.is_left_over(lifecycle, carried, access)):
                raise
        return None

    async def _for_the_client(self, inquiry: Inquiry) -> None:
        carried = inquiry.carried
        if inquiry.inline:
            return
        self._supertokens_needs_id(carried)
        if carried.bearer and self._presented is None:
            raise _NotHere
        if carried.access or carried.refresh or carried.ids:
            raise TryRefreshToken
        raise Unauthorised

    _RULES: ClassVar[tuple[Callable[["Authentication", Inquiry], Awaitable[AnySession | None]], ...]] = (
        _session_ended,
        _outlasted,
        _known_already,
        _by_access_token,
        _for_the_client,
    )
    """In their order; `_by_refresh_token` decides what they all have left to it."""

    async def _by_refresh_token(self, inquiry: Inquiry) -> AnySession:
        access = self._presented
        if not inquiry.carried.refresh:
            if access is not None and self._transport.cookies.may_hide_refresh(request_path(self._scope)):
                raise TryRefreshToken  # it has the path of earlier settings: the client can ask where it comes
            raise Unauthorised
        self._guard.check(access, inquiry.csrf, bearer=inquiry.carried.bearer)
        self._refuse_ahead()
        return await self._refresh(inquiry.lifecycle, inquiry.carried, access, inline=True, extend=inquiry.extend)

    # -- what the rules share with each other and with a refresh that was asked for

    def _extends(self, extend: bool | None, carried: Credentials) -> bool:
        """Whether a question extends the session: as who asks wishes, None for what the request itself tells."""
        if extend is not None:
            return extend
        if self._is_background or self._has_begun:  # a task that was left behind is nobody who uses the session
            return False
        # Another site's page, which may not refresh, must not keep a session alive either.
        return carried.bearer or self._guard.may_refresh_inline()

    @property
    def _is_background(self) -> bool:
        return is_background(self._scope, self.manager.settings.background_paths)

    async def _accept(self, inquiry: Inquiry, access: AccessToken) -> AnySession:
        """Whom an access token stands for that was in time when the request arrived."""
        lifecycle = inquiry.lifecycle
        # A slow upload is no reason to refresh; but what outlived its token is looked up.
        outlived = not lifecycle.verifier.in_time(access)
        access = await self._live(inquiry, access, inquiry.check_database or outlived)
        if lifecycle.verifier.wants_rewrite(access) and self._carries_tokens:
            with suppress(PayloadTooLarge):  # see `_live`
                token, access = await lifecycle.issuer.rewrite_as_promoted(access)
                self.access_token_changed(token, access)
        return self._take(access, lifecycle)

    async def _live(self, inquiry: Inquiry, access: AccessToken, check_database: bool) -> AccessToken:
        """The access token of a live session. One whose payload has been replaced leaves with the response, if it can.

        Else the session has the new payload all the same, and the next request looks again.
        """
        lifecycle = inquiry.lifecycle
        newest = await lifecycle.verifier.require_live(access, check_database=check_database, extend=inquiry.extend)
        if newest is not access and self._carries_tokens:
            with suppress(PayloadTooLarge):  # for the settings of this worker, which are not those of who changed it
                token, newest = await lifecycle.issuer.reissue(newest, new_payload=False)
                self.access_token_changed(token, newest)
        return newest

    async def _refresh(
        self, lifecycle: Lifecycle, carried: Credentials, access: AccessToken | None, *, inline: bool, extend: bool
    ) -> AnySession:
        token, access = await presented.refresh_token(lifecycle, carried, access)
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
            extend=extend,
        )
        if refreshed.tokens is not None:
            self.answer.refreshed(refreshed.tokens, **began, forget_marker=carried.retry_marker is not None)
        elif refreshed.late is None:
            self.answer.without_tokens()
        else:
            late = refreshed.late
            until = lifecycle.clock() + self._transport.marker_lifetime
            marker = lifecycle.keys.retry_markers.encode(late.handle, late.generation, until)
            self.answer.without_tokens(marker=marker, persistent=refreshed.access.persistent)
            if not refreshed.served:
                raise already_rotated(late)
        self._set_aside()
        return self._take(refreshed.access, lifecycle)

    def _supertokens_needs_id(self, carried: Credentials) -> None:
        # The old browser client takes the session for ended when this cookie is gone, and so must we.
        if self.manager.settings.speaks_supertokens and not carried.bearer and not carried.ids:
            raise Unauthorised
