"""What leaves with a response: new tokens, cleared cookies, the retry marker; decided late, written once."""

import logging
from collections.abc import Iterable, MutableMapping
from typing import Any

from asgi_sessions.asgi.presented import Ambiguous
from asgi_sessions.asgi.transport import Credentials, RawHeaders, Transport, request_path
from asgi_sessions.errors import TokenTheftDetected, Unauthorised
from asgi_sessions.manager.records import IssuedToken, TokenSet
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock

MAX_ANSWER_AGE_MS = 30_000
"""A slow handler's late cookie would overwrite a newer one and look like a fork, so it is left out."""

FRESH_ANSWER_MS = 100
"""For so long after they were made tokens leave without another look at the session: by the network's whim two answers
that are no further apart may arrive in either order."""

# Cache-Control does not bind a cache that knows a field for it alone (RFC 9213, section 2.2): those of content delivery
# networks end in -Cache-Control, or are one of these (Fastly, Varnish and Akamai; Akamai; nginx; HTTP/1.0).
_CACHE_FIELDS = frozenset({b"cache-control", b"surrogate-control", b"edge-control", b"x-accel-expires", b"expires"})
_NOT_STORED = ((b"cache-control", b"no-store"), (b"cdn-cache-control", b"no-store"))

ACCESS_TOKEN_STAYED = "the new access token did not leave with it"
COOKIES_STAYED = "the session is revoked, its cookies stayed and the next request clears them"

_log = logging.getLogger(__name__)


class Answer:
    """The session's part of one response. Setting and clearing replace each other; the last word counts.

    Attributes:
        tokens: The pair that leaves, None if none does.
        started: Whether the response is on its way, so that nothing can be added.
        signed_out: The session that the application has ended on this very connection, None if it has not.
        logged_in: Whether the pair is that of a new session, which nobody holds until it has left.
        shared: Whether the response may be another manager's as well.
    """

    # Most responses need none of these; what a class holds costs an instance nothing.
    tokens: TokenSet | None = None
    started = False
    logged_in = False
    signed_out: str | None = None
    shared = False
    _speaks = False  # whether more than a Vary is to be added
    _access: tuple[IssuedToken, AccessToken] | None = None
    _clear = False
    _forget_marker = False
    _forget_older = False
    _credentials: Credentials | None = None
    _marker: str | None = None
    _served_without = False  # the session, which gets no token from this answer
    _made_at: int | None = None  # what leaves: the oldest of it
    _payload_changes: int | None = None

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

    def needs_a_look(self, payload_changes: int) -> bool:
        """Whether the session may have ended, been replaced or got another payload since its tokens were made.

        Args:
            payload_changes: See `Lifecycle`: a payload that was read before may no longer be the newest.
        """
        if self._made_at is None:
            return False
        # A changed access token is looked at in any case: two changes may be answered in the wrong order.
        changed = self._access is not None or payload_changes != self._payload_changes
        return changed or self._clock() - self._made_at > FRESH_ANSWER_MS

    @property
    def too_late(self) -> bool:
        """Whether the tokens were made so long ago that they must not leave."""
        return self._made_at is not None and self._clock() - self._made_at > MAX_ANSWER_AGE_MS

    def withdraw(self) -> None:
        """Hand out nothing: the jar keeps what it has."""
        self.tokens = self._access = self._made_at = None
        self.logged_in = False

    @property
    def over(self) -> bool:
        """Whether the session has ended on this very connection."""
        return self._clear

    # -- what is to leave

    def issued(self, tokens: TokenSet, *, made_at: int, payload_changes: int) -> None:
        """Hand out the pair of a new session.

        Args:
            tokens: The pair.
            made_at: ms; before what it is made from was read.
            payload_changes: Those of `Lifecycle` at that time.
        """
        self.tokens, self._access, self._clear, self._marker = tokens, None, False, None
        self._served_without = False
        self._made_at, self._payload_changes, self.logged_in = made_at, payload_changes, True
        self._speaks = True
        self._warn_if_started("the new tokens did not leave with it")

    def refreshed(self, tokens: TokenSet, *, made_at: int, payload_changes: int, forget_marker: bool) -> None:
        """Hand out the next pair of a session.

        Args:
            tokens: The pair.
            made_at: As for `issued`.
            payload_changes: Likewise.
            forget_marker: Whether the request carried a retry marker, which has served its purpose.
        """
        self.issued(tokens, made_at=made_at, payload_changes=payload_changes)
        self.logged_in = False
        self._forget_marker = forget_marker

    def access_token_changed(self, token: IssuedToken, claims: AccessToken) -> None:
        """Hand out an access token of the same session, but not where that is served without tokens."""
        if self._served_without or self._replaced(claims.handle):
            return
        self._access = token, claims
        if self._made_at is None:
            self._made_at = self._clock()
        self._speaks = True
        self._warn_if_started(ACCESS_TOKEN_STAYED)

    def signing_out(self, session_handle: str | None) -> None:
        """The application is about to end this session on this very connection, so that it will know; None: not so."""
        self.signed_out = session_handle

    def ended(self, session_handle: str | None = None, *, by_user: bool) -> None:
        """Clear the cookies, unless a login on this connection has already put another session into them."""
        if self._replaced(session_handle):
            return
        self.withdraw()
        self._clear = self._speaks = True
        if by_user:
            self._warn_if_started(COOKIES_STAYED)

    def refused(self, error: Unauthorised | TokenTheftDetected, session_handle: str | None = None) -> None:
        """Clear the cookies: always after a theft, else as far as the error says so."""
        if isinstance(error, TokenTheftDetected) or error.clear_cookies:
            self.ended(session_handle, by_user=False)
        elif isinstance(error, Ambiguous):
            self.forget_older()

    def without_tokens(self, *, marker: str | None = None) -> None:
        """Hand out no token of this session, whatever changes: its row has what the next refresh is to say.

        Args:
            marker: The retry marker to set; None for none.
        """
        self._served_without = True
        if marker is not None:
            self._marker = marker
            self._speaks = True

    def forget_older(self) -> None:
        """Clear what is not of the present settings, as far as that is known: the next request may be unambiguous."""
        self._forget_older = self._speaks = True

    # -- the response

    def start(self, theirs: Iterable[tuple[bytes, bytes]], *, looked: bool) -> RawHeaders:
        """The response's headers with ours. Nothing can be added afterwards.

        Args:
            theirs: The application's.
            looked: Whether it asked for the session, so that caches must tell users apart.
        """
        self.started = True
        headers = list(theirs)
        if not self._speaks:
            return _varied(headers, self._transport.vary) if looked else headers
        ours = self._headers()
        sets = any(name == b"set-cookie" or name.startswith(b"st-") for name, _ in ours)
        if sets:
            headers = [header for header in headers if not _allows_storing(header[0].lower())]
            ours += _NOT_STORED
        if looked or sets:
            headers = _varied(headers, self._transport.vary)
        return _exposed_once([*headers, *ours])

    def _headers(self) -> RawHeaders:
        transport, now, in_headers = self._transport, self._clock(), self._leaves_in_headers()
        path = request_path(self._scope)
        if self._clear:
            return transport.cleared(self._carried(), path, in_headers=in_headers)
        out: RawHeaders = []
        tokens = self.tokens
        if tokens is not None:
            if self._access is not None:  # the payload was changed after the pair was made
                tokens = tokens.with_access(*self._access)
            out += transport.issued(tokens, self._carried(), path, now=now, in_headers=in_headers)
            if self._forget_marker:
                out += transport.retry_marker_cleared(in_headers=in_headers)
        elif self._access is not None:
            out += transport.access_changed(*self._access, now=now, in_headers=in_headers)
        if self._marker is not None:
            out += transport.retry_marker(self._marker, now=now, in_headers=in_headers)
        if self._forget_older and tokens is None:
            out += transport.unambiguous(self._carried(), self._scope["headers"], path)
        return out

    def _replaced(self, session_handle: str | None) -> bool:
        leaving = self.tokens
        return session_handle is not None and leaving is not None and leaving.access.handle != session_handle

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


def _allows_storing(name: bytes) -> bool:
    return name in _CACHE_FIELDS or name.endswith(b"-cache-control")


def _varied(headers: RawHeaders, vary: bytes) -> RawHeaders:
    names = {part.strip().lower() for name, value in headers if name.lower() == b"vary" for part in value.split(b",")}
    missing = [part for part in vary.split(b", ") if part.lower() not in names]
    if missing and b"*" not in names:
        headers.append((b"vary", b", ".join(missing)))
    return headers


def _exposed_once(headers: RawHeaders) -> RawHeaders:
    """One Access-Control-Expose-Headers, no name twice: the old browser client reads only the first."""
    exposing = [value for name, value in headers if name.lower() == b"access-control-expose-headers"]
    if len(exposing) < 2:
        return headers
    names = dict.fromkeys(part.strip() for value in exposing for part in value.split(b","))
    others = [header for header in headers if header[0].lower() != b"access-control-expose-headers"]
    return [*others, (b"access-control-expose-headers", b", ".join(names))]
