"""How tokens travel: read from the request's cookies or its Authorization header, and set on the response."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from asgi_sessions.asgi import client_protocol
from asgi_sessions.asgi.plain_http import PlainHttpNotice
from asgi_sessions.asgi.response_headers import RawHeaders, Vary
from asgi_sessions.manager.issuing import TokenSet
from asgi_sessions.manager.session import IssuedToken
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.cookies import (
    ACCESS_COOKIE,
    ID_REFRESH_COOKIE,
    REFRESH_COOKIE,
    RETRY_COOKIE,
    CookieSpec,
    prefixed_name,
    values,
)
from asgi_sessions.protocol.planted_cookies import clear_planted
from asgi_sessions.protocol.retry_marker import marker_lifetime
from asgi_sessions.settings import SessionSettings

MAX_COPIES = 8
"""Of one cookie: more are an attack, not a browser's jar. So many are verified for one request and no more."""

ACCESS_HEADER = b"st-access-token"
REFRESH_HEADER = b"st-refresh-token"
RETRY_HEADER = b"st-retry-marker"

_SAYS_WHO_IT_IS = {"cookie": ["Cookie"], "header": ["Authorization"], "any": ["Authorization", "Cookie"]}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries. All of it is untrusted input.

    Attributes:
        bearer: Whether it came as ``Authorization: Bearer``, which no other site's page can make a browser send.
        access: Every access token.
        refresh: Every refresh token.
        retry_marker: The retry marker, None if there is none.
        ids: Every ``sIdRefreshToken`` (client_protocol="supertokens").
        names: The names of our cookies that came, earlier ones included, whatever they hold.
        left_access: Access tokens of earlier cookies, which do not count beside the present ones. A logout ends theirs.
        left_refresh: The same of refresh tokens.
        only_host_sets_refresh: Whether nobody but this host can have set the refresh cookie.
    """

    bearer: bool
    access: Sequence[str] = field(default=(), repr=False)
    refresh: Sequence[str] = field(default=(), repr=False)
    retry_marker: str | None = field(default=None, repr=False)
    ids: Sequence[str] = field(default=(), repr=False)
    names: Collection[str] = ()
    left_access: Sequence[str] = field(default=(), repr=False)
    left_refresh: Sequence[str] = field(default=(), repr=False)
    only_host_sets_refresh: bool = False

    @property
    def empty(self) -> bool:
        """Whether the request carries nothing of ours."""
        return not (self.presents_session or self.retry_marker)

    @property
    def presents_session(self) -> bool:
        """Whether the request carries any part of a session: with none there is nothing to end at the client."""
        return self.holds_token or bool(self.ids)

    @property
    def holds_token(self) -> bool:
        """Whether the request carries a token, good or bad."""
        return bool(self.access or self.refresh or self.left_access or self.left_refresh)


class Transport:
    """The wire format that the settings ask for. Holds no state of any request.

    Attributes:
        names_alone: The cookies' names, the access token's first, where nothing but cookies can say who it is; None
            elsewhere.
        vary: What the answer to whoever asks depends on.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self.plain_http = PlainHttpNotice(settings)
        self.access = self._cookie(ACCESS_COOKIE, settings.access_token_path)
        self.refresh = self._cookie(REFRESH_COOKIE, settings.refresh_cookie_path)
        self.retry = self._cookie(RETRY_COOKIE, settings.refresh_cookie_path)
        self.id_refresh = (
            self._cookie(ID_REFRESH_COOKIE, settings.access_token_path, http_only=False)
            if settings.speaks_supertokens
            else None
        )
        self._session_cookies = [self.access, self.refresh, *([self.id_refresh] if self.id_refresh else [])]
        self._older = {
            self.access: self._earlier(ACCESS_COOKIE, self.access),
            self.refresh: self._earlier(REFRESH_COOKIE, self.refresh),
        }
        if self.id_refresh:
            self._older[self.id_refresh] = self._earlier(ID_REFRESH_COOKIE, self.id_refresh)
        # Where the prefix says so; a cookie of an earlier name, domain or path may be anybody's.
        self._only_host_sets_refresh = self.refresh.name.lower().startswith("__host-") and not self._older[self.refresh]
        self._all_older = [(cookie, older) for cookie in self._session_cookies for older in self._older[cookie]]
        self._names = {cookie: cookie.name.encode() for cookie in [*self._session_cookies, self.retry]}
        # Names alone: a cookie of the same name and another domain or path comes as one more copy.
        self._older_names = {
            cookie: tuple(dict.fromkeys(one.name.encode() for one in older if one.name != cookie.name))
            for cookie, older in self._older.items()
        }
        self.vary = Vary(*_SAYS_WHO_IT_IS[settings.token_transport])
        alone = settings.token_transport == "cookie" and not (settings.speaks_supertokens or settings.uses_csrf_tokens)
        others = (name for names in self._older_names.values() for name in names)
        self.names_alone = (*self._names.values(), *others) if alone else None

    # -- in

    def read(self, headers: RawHeaders, *, refreshing: bool = False) -> Credentials:
        """What the request carries.

        Args:
            headers: ``scope["headers"]``.
            refreshing: A bearer token is then the refresh token, else the access token.
        """
        if self.settings.token_transport != "cookie":
            bearer = _bearer(headers)
            if bearer is not None:
                marker = _header(headers, RETRY_HEADER)
                if refreshing:
                    return Credentials(bearer=True, refresh=[bearer], retry_marker=marker)
                return Credentials(bearer=True, access=[bearer], retry_marker=marker)
            if self.settings.token_transport == "header":
                return Credentials(bearer=False)
        found = {cookie: values(headers, name) for cookie, name in self._names.items()}
        names = {cookie.name for cookie, copies in found.items() if copies}
        left: dict[CookieSpec, list[str]] = {self.access: [], self.refresh: []}
        # The refresh cookie first: beside a present one an earlier access cookie is a leftover.
        for cookie in (self.refresh, self.access, *([self.id_refresh] if self.id_refresh else [])):
            counts = not (found[cookie] or (cookie is self.access and self.refresh.name in names))
            for name in self._older_names[cookie]:
                copies = values(headers, name)
                if copies:
                    names.add(name.decode())
                    if counts:
                        found[cookie], counts = copies, False
                    else:
                        left.setdefault(cookie, []).extend(copies)
        markers = found[self.retry]
        return Credentials(
            bearer=False,
            access=found[self.access],
            refresh=found[self.refresh],
            retry_marker=markers[0] if markers else None,
            ids=found[self.id_refresh] if self.id_refresh else (),
            names=names,
            left_access=left[self.access],
            left_refresh=left[self.refresh],
            only_host_sets_refresh=self._only_host_sets_refresh,
        )

    def answers_in_headers(self, headers: RawHeaders) -> bool:
        """Whether this client gets its tokens in headers rather than cookies."""
        transport = self.settings.token_transport
        if transport != "any":
            return transport == "header"
        return _bearer(headers) is not None or _header(headers, b"st-auth-mode") == "header"

    # -- out

    def issued(self, tokens: TokenSet, carried: Credentials, path: str, *, now: int, in_headers: bool) -> RawHeaders:
        """The response headers that hand out a new pair, in place of whatever earlier cookies are in the jar.

        Args:
            tokens: The pair.
            carried: What the request carried.
            path: The request's path as the browser sees it.
            now: The time, ms.
            in_headers: Whether the tokens travel in headers.
        """
        out: RawHeaders = []
        if in_headers:
            out.append((ACCESS_HEADER, tokens.access_token.value.encode()))
            out.append((REFRESH_HEADER, tokens.refresh_token.value.encode()))
        else:
            until = tokens.expires_at
            out.append(_set(self.access, tokens.access_token, now, until))
            out.append(_set(self.refresh, tokens.refresh_token, now, until))
            if self.id_refresh is not None and tokens.id_refresh_token is not None:
                out.append(_set(self.id_refresh, tokens.id_refresh_token, now, until))
            out += [
                (b"set-cookie", older.clear_header())
                for _, older in self._all_older
                if older.name in carried.names or not _matches(path, older.path)
            ]
        if tokens.anti_csrf_token is not None:
            out.append((b"anti-csrf", tokens.anti_csrf_token.value.encode()))
        if self.settings.speaks_supertokens:
            out += client_protocol.issued(tokens, in_headers=in_headers)
        return out

    def access_changed(self, token: IssuedToken, access: AccessToken, *, now: int, in_headers: bool) -> RawHeaders:
        """The response headers that replace the access token alone."""
        if in_headers:
            out = [(ACCESS_HEADER, token.value.encode())]
        else:
            until = min(now + self.settings.idle_timeout_ms, access.session_expires_at)
            out = [_set(self.access, token, now, until)]
        if self.settings.speaks_supertokens:
            out += client_protocol.access_changed(access, in_headers=in_headers)
        return out

    def cleared(self, carried: Credentials, path: str, *, in_headers: bool) -> RawHeaders:
        """The response headers that end the session at the client: none for a client that has presented none.

        Another site can make a browser ask without its cookies and keep what the answer sets: what is cleared without
        having come would log its users out. A cookie is cleared if it came, or if a token came and the browser keeps
        this cookie for another path.

        Args:
            carried: What the request carried.
            path: The request's path as the browser sees it.
            in_headers: Whether the tokens travel in headers.
        """
        out: RawHeaders = []
        if not carried.presents_session:
            return out
        if in_headers:
            out += [(ACCESS_HEADER, b""), (REFRESH_HEADER, b"")]
        else:
            out += [
                (b"set-cookie", cookie.clear_header())
                for cookie in (*self._session_cookies, *(older for _, older in self._all_older))
                if cookie.name in carried.names or (carried.holds_token and not _matches(path, cookie.path))
            ]
        if self.settings.speaks_supertokens:
            out += client_protocol.cleared(in_headers=in_headers)
        return out

    def unambiguous(self, carried: Credentials, headers: RawHeaders, path: str) -> RawHeaders:
        """The response headers that leave the present cookies alone in the jar, where several came and none counted.

        Earlier ones are cleared where the present one came too. Of a cookie that came in more copies than count, so
        that it is an attack, everything is cleared but the present and the earlier ones of ours: nothing tells which
        of the copies is the user's, and the next request, which has ours alone, is to end their sessions.

        Args:
            carried: What the request carried.
            headers: ``scope["headers"]``.
            path: The request's path as the browser sees it.
        """
        host = _header(headers, b"host") or ""
        crowded = [cookie for cookie in (self.access, self.refresh) if self._is_crowded(cookie, headers)]
        out = [
            (b"set-cookie", older.clear_header())
            for cookie, older in self._all_older
            if cookie not in crowded and cookie.name in carried.names and older.name in carried.names
        ]
        for cookie in crowded:
            kept = {cookie, *self._older[cookie]}
            for name in (cookie.name.encode(), *self._older_names[cookie]):
                out += [(b"set-cookie", line) for line in clear_planted(name.decode(), host, path, kept)]
        return out

    def _is_crowded(self, cookie: CookieSpec, headers: RawHeaders) -> bool:
        """Whether more copies of a cookie came than count, under its present and its earlier names."""
        names = (cookie.name.encode(), *self._older_names[cookie])
        return sum(len(set(values(headers, name))) for name in names) > MAX_COPIES

    def may_hide_refresh(self, path: str) -> bool:
        """Whether a refresh cookie of an earlier configuration may be in the jar that does not come to this path."""
        return any(not _matches(path, older.path) for older in self._older[self.refresh])

    def retry_marker(self, marker: str, *, now: int, in_headers: bool) -> RawHeaders:
        """The response headers that mark a late parent's retry."""
        if in_headers:
            return [(RETRY_HEADER, marker.encode())]
        until = now + marker_lifetime(self.settings.late_parent_window_ms, self.settings.max_clock_difference_ms)
        return [(b"set-cookie", self.retry.set_header(marker, now, until))]

    def retry_marker_cleared(self, *, in_headers: bool) -> RawHeaders:
        """The response headers that take the marker back after a success."""
        if in_headers:
            return [(RETRY_HEADER, b"")]
        return [(b"set-cookie", self.retry.clear_header())]

    def _cookie(self, name: str, path: str, *, http_only: bool = True) -> CookieSpec:
        settings = self.settings
        return self._spec(name, settings.cookie_prefix_in_use, settings.cookie_domain, path, http_only)

    def _earlier(self, name: str, present: CookieSpec) -> list[CookieSpec]:
        """The same cookie of earlier configurations: every combination with the present one, that left out."""
        settings, found = self.settings, {}
        for prefix, domain, path in product(
            (settings.cookie_prefix_in_use, *settings.older_cookie_prefixes),
            (present.domain, *settings.older_cookie_domains),
            (present.path, *settings.older_cookie_paths),
        ):
            try:
                cookie = self._spec(name, prefix, domain, path, present.http_only)
            except ValueError:  # no browser took it then: the prefix was another
                cookie = self._spec(name, None, domain, path, present.http_only)
            found[cookie.name, domain, path] = cookie
        return [cookie for cookie in found.values() if cookie != present]

    def _spec(self, name: str, prefix: str | None, domain: str | None, path: str, http_only: bool) -> CookieSpec:
        secure = self.settings.cookie_secure
        return CookieSpec(
            name=prefixed_name(name, prefix, secure=secure, domain=domain, path=path),
            path=path,
            domain=domain,
            secure=secure,
            samesite=self.settings.cookie_samesite,
            http_only=http_only,
        )


def header_values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of one header; names are lower-case in ASGI."""
    return [value.decode("latin-1") for header, value in headers if header == name]


def request_path(scope: Any) -> str:
    """The path as the browser sees it, as far as the server tells."""
    path: str = scope.get("path", "/")
    root: str = scope.get("root_path", "")
    return path if path.startswith(root) else root + path


def _header(headers: RawHeaders, name: bytes) -> str | None:
    found = header_values(headers, name)
    return found[0] if found else None


def _bearer(headers: RawHeaders) -> str | None:
    for value in header_values(headers, b"authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None


def _set(cookie: CookieSpec, token: IssuedToken, now: int, until: int) -> tuple[bytes, bytes]:
    return b"set-cookie", cookie.set_header(token.value, now, until)


def _matches(path: str, cookie_path: str) -> bool:
    """Whether a browser sends a cookie of this path with a request to that one (RFC 6265, section 5.1.4)."""
    if path == cookie_path:
        return True
    return path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
