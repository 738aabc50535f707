"""What leaves with a response: new tokens, cleared cookies, the retry marker. It is written once, when that starts."""

import logging
from collections.abc import Iterable, MutableMapping
from typing import Any

from asgi_sessions.asgi.answer_content import MOVES, Content, Move
from asgi_sessions.asgi.credentials import Credentials
from asgi_sessions.asgi.presented import Ambiguous
from asgi_sessions.asgi.response_headers import RawHeaders, with_ours
from asgi_sessions.asgi.transport import Transport, request_path
from asgi_sessions.errors import TokenTheftDetected, Unauthorised
from asgi_sessions.manager.records import IssuedToken, TokenSet
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock

MAX_ANSWER_AGE_MS = 30_000
"""A slow handler's late cookie would overwrite a newer one and look like a fork, so it is left out."""

FRESH_ANSWER_MS = 100
"""For so long after they were made tokens leave without another look at the session: two answers that are no further
apart may reach the client in either order in any case."""

ACCESS_TOKEN_STAYED = "the new access token did not leave with it"
COOKIES_STAYED = "the session is revoked, its cookies stayed and the next request clears them"

_log = logging.getLogger(__name__)


class Answer:
    """The session's part of one response: a `Content` that moves change, of which the last counts.

    Two moves may be refused: `access_token_changed` where the session is served without tokens (`without_tokens`), and
    both this and `session_ended` where they are about another session than that whose pair leaves. A move after the
    response has started is made all the same, since later questions go by it; nothing of it leaves, which is logged.

    Attributes:
        tokens: The pair that leaves, None if none does.
        started: Whether the response is on its way, so that nothing can be added.
        signed_out: The session that the application has ended on this very connection, None if it has not.
        shared: Whether the response may be another manager's as well.
    """

    # Most responses need none of these; what a class holds costs an instance nothing.
    tokens: TokenSet | None = None
    started = False
    signed_out: str | None = None
    shared = False
    _content = Content.NOTHING
    _access: tuple[IssuedToken, AccessToken] | None = None  # with Content.ACCESS
    _made_at: int | None = None  # what leaves: the oldest of it
    _payload_changes: int | None = None  # those when it was made; None: it is looked at again in any case
    _served_without = False  # the session, which gets no token from this answer
    _marker: str | None = None
    _marker_persistent = True
    _forget_marker = False
    _forget_older = False
    _credentials: Credentials | None = None

    def __init__(self, transport: Transport, scope: MutableMapping[str, Any], clock: Clock) -> None:
        self._transport = transport
        self._scope = scope
        self._clock = clock

    @property
    def in_headers(self) -> bool:
        """Whether this client's tokens travel in headers."""
        return self._transport.answers_in_headers(self._scope["headers"])

    @property
    def access(self) -> AccessToken | None:
        """What the access token says that leaves, None if none does."""
        if self._access is not None:
            return self._access[1]
        return None if self.tokens is None else self.tokens.access

    @property
    def logged_in(self) -> bool:
        """Whether the pair is that of a new session, which nobody holds until it has left."""
        return self._content is Content.LOGIN

    @property
    def session_has_ended(self) -> bool:
        """Whether the session has ended on this very connection."""
        return self._content is Content.CLEARED

    def needs_a_look(self, payload_changes: int) -> bool:
        """Whether the session may have ended, been replaced or got another payload since its tokens were made.

        Args:
            payload_changes: See `Lifecycle`: a payload that was read before may no longer be the newest.
        """
        if self._made_at is None:
            return False
        return payload_changes != self._payload_changes or self._clock() - self._made_at > FRESH_ANSWER_MS

    @property
    def too_late(self) -> bool:
        """Whether the tokens were made so long ago that they must not leave."""
        return self._made_at is not None and self._clock() - self._made_at > MAX_ANSWER_AGE_MS

    # -- the moves

    def issued(self, tokens: TokenSet, *, made_at: int, payload_changes: int) -> None:
        """Hand out the pair of a new session.

        Args:
            tokens: The pair.
            made_at: ms; before what it is made from was read.
            payload_changes: Those of `Lifecycle` at that time.
        """
        self._hand_out(Move.ISSUED, tokens, made_at, payload_changes)

    def refreshed(self, tokens: TokenSet, *, made_at: int, payload_changes: int, forget_marker: bool) -> None:
        """Hand out the next pair of a session.

        Args:
            tokens: The pair.
            made_at: As in `issued`.
            payload_changes: Likewise.
            forget_marker: Whether the request carried a retry marker, which has served its purpose.
        """
        self._hand_out(Move.REFRESHED, tokens, made_at, payload_changes)
        self._forget_marker = forget_marker

    def access_token_changed(self, token: IssuedToken, claims: AccessToken) -> None:
        """Hand out an access token of the same session, but not where that is served without tokens."""
        if self._served_without or self._replaced(claims.handle):
            return
        self._move(Move.ACCESS_TOKEN_CHANGED)
        if self.tokens is not None:
            self.tokens = self.tokens.with_access(token, claims)
        elif self._content is Content.ACCESS:
            self._access = token, claims
            if self._made_at is None:
                self._made_at = self._clock()
        self._payload_changes = None  # two changes may be answered in the wrong order
        self._warn_if_started(ACCESS_TOKEN_STAYED)

    def session_ended(self, session_handle: str | None = None, *, by_user: bool) -> None:
        """Clear the cookies, unless a login on this connection has already put another session into them."""
        if self._replaced(session_handle):
            return
        self._move(Move.SESSION_ENDED)
        if by_user:
            self._warn_if_started(COOKIES_STAYED)

    def withdraw(self) -> None:
        """Hand out nothing: the jar keeps what it has."""
        self._move(Move.WITHDRAW)

    def handed_out(self) -> None:
        """The pair of a new session has left, or is nobody's concern any more: it is like any other from now on."""
        self._move(Move.HANDED_OUT)

    def _hand_out(self, move: Move, tokens: TokenSet, made_at: int, payload_changes: int) -> None:
        self._move(move)
        self.tokens, self._made_at, self._payload_changes = tokens, made_at, payload_changes
        self._served_without, self._marker = False, None
        self._warn_if_started("the new tokens did not leave with it")

    def _move(self, move: Move) -> None:
        """Change the content, and let go of what another content needs."""
        content = self._content = MOVES.get((self._content, move), self._content)
        if not content.is_pair:
            self.tokens = None
        if content is not Content.ACCESS:
            self._access = None
            if not content.is_pair:
                self._made_at = None

    def _replaced(self, session_handle: str | None) -> bool:
        """Whether the pair that leaves is another session's."""
        leaving = self.tokens
        return session_handle is not None and leaving is not None and leaving.access.handle != session_handle

    # -- what else is known

    def signing_out(self, session_handle: str | None) -> None:
        """The application is about to end this session on this very connection, so that it will know; None: not so."""
        self.signed_out = session_handle

    def refused(self, error: Unauthorised | TokenTheftDetected, session_handle: str | None = None) -> None:
        """Clear the cookies: always after a theft, else as far as the error says so."""
        if isinstance(error, TokenTheftDetected) or error.clear_cookies:
            self.session_ended(session_handle, by_user=False)
        elif isinstance(error, Ambiguous):
            self.forget_older()

    def without_tokens(self, *, marker: str | None = None, persistent: bool = True) -> None:
        """Hand out no token of this session, whatever changes: its row has what the next refresh is to say.

        Args:
            marker: The retry marker to set; None for none.
            persistent: Whether the session is.
        """
        self._served_without = True
        if marker is not None:
            self._marker, self._marker_persistent = marker, persistent

    def forget_older(self) -> None:
        """Clear what is not of the present settings, as far as that is known: the next request may be unambiguous."""
        self._forget_older = True

    # -- the response

    def start(self, theirs: Iterable[tuple[bytes, bytes]], *, looked: bool) -> RawHeaders:
        """The response's headers with ours. Nothing can be added afterwards.

        Args:
            theirs: The application's.
            looked: Whether it asked for the session.
        """
        self.started = True
        return with_ours(theirs, self._headers(), self._transport.caches, looked=looked)

    def _headers(self) -> RawHeaders:
        if self._content is Content.NOTHING and self._marker is None and not self._forget_older:
            return []
        transport, now, in_headers = self._transport, self._clock(), self._leaves_in_headers()
        path = request_path(self._scope)
        if self._content is Content.CLEARED:
            return transport.cleared(self._carried(), path, in_headers=in_headers)
        out: RawHeaders = []
        if self.tokens is not None:
            out += transport.issued(
                self.tokens, self._carried(), path, now=now, in_headers=in_headers, login=self.logged_in
            )
            if self._forget_marker:
                out += transport.retry_marker_cleared(in_headers=in_headers)
        elif self._access is not None:
            out += transport.access_changed(*self._access, now=now, in_headers=in_headers)
        if self._marker is not None:
            persistent = self._marker_persistent
            out += transport.retry_marker(self._marker, now=now, in_headers=in_headers, persistent=persistent)
        if self._forget_older and self.tokens is None:
            out += transport.cookies.unambiguous(self._carried(), self._scope["headers"], path)
        return out

    def _leaves_in_headers(self) -> bool:
        if not self.in_headers:
            return False
        if self.logged_in:
            return True  # a new login: where its tokens go is for the client to say
        # What came in cookies leaves in cookies, whatever the request asks for: any script of the page could
        # otherwise have its HttpOnly cookies read out to it.
        carried = self._carried()
        return carried.bearer or carried.empty

    def _carried(self) -> Credentials:
        if self._credentials is None:  # read once: a request may carry thousands of cookies
            self._credentials = self._transport.read(self._scope["headers"])
        return self._credentials

    def _warn_if_started(self, consequence: str) -> None:
        if self.started:
            warn_of_start(consequence)


def warn_of_start(consequence: str) -> None:
    """Say in the log what came too late for a response."""
    _log.warning("The response had already started: %s.", consequence)
