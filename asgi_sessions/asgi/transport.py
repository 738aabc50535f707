"""How tokens travel: in cookies or in headers, as the settings and the client say."""

from typing import Any

from asgi_sessions.asgi import client_protocol
from asgi_sessions.asgi.credentials import Credentials, bearer_token, first_header
from asgi_sessions.asgi.header_names import (
    ACCESS_HEADER,
    ANTI_CSRF_HEADER,
    MODE_HEADER,
    REFRESH_HEADER,
    RETRY_HEADER,
)
from asgi_sessions.asgi.plain_http import PlainHttpNotice
from asgi_sessions.asgi.response_headers import CacheHeaders, RawHeaders
from asgi_sessions.asgi.session_cookies import SessionCookies
from asgi_sessions.manager.records import IssuedToken, TokenSet
from asgi_sessions.protocol import access_token, refresh_token
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.retry_marker import marker_lifetime
from asgi_sessions.settings import SessionSettings

_AHEAD = b'"prefetchCache", "prerenderCache"'
_CLEARS = {"prefetchCache": [_AHEAD], "cache": [_AHEAD + b', "cache"'], "off": []}
"""The values of Clear-Site-Data. A prerendered page rests on a prefetched one, so that neither word does alone.

Never "cookies": Chromium drops those of sibling applications as well.
"""
_SAYS_WHO_IT_IS = {"cookie": ["Cookie"], "header": ["Authorization"], "any": ["Authorization", "Cookie"]}


class Transport:
    """The wire format that the settings ask for. Holds no state of any request.

    Attributes:
        cookies: The cookies.
        names_alone: The cookies' names, the access token's first, where nothing but cookies can say who it is; None
            elsewhere.
        plain_http: Notes logins whose cookies do not come back.
        caches: What caches are told of the answer to whoever asks.
        asked: Its `default`.
        marker_lifetime: For how long a retry marker is good, ms.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self._idle = settings.idle_timeouts
        self.cookies = SessionCookies(settings)
        self.plain_http = PlainHttpNotice(settings)
        cache_control = None if settings.cache_control == "off" else settings.cache_control
        self.caches = CacheHeaders(_SAYS_WHO_IT_IS[settings.token_transport], cache_control)
        self.asked = self.caches.default
        self._clear_site_data = [(b"clear-site-data", value) for value in _CLEARS[settings.clear_site_data]]
        self.marker_lifetime = marker_lifetime(settings.late_parent_window_ms, settings.max_clock_difference_ms)
        alone = settings.token_transport == "cookie" and not (settings.speaks_supertokens or settings.uses_csrf_tokens)
        self.names_alone = self.cookies.names if alone else None

    # -- in

    def read(self, headers: RawHeaders, *, refreshing: bool = False) -> Credentials:
        """What the request carries.

        Args:
            headers: ``scope["headers"]``.
            refreshing: A bearer token is then the refresh token, else the access token.
        """
        if self.settings.token_transport == "cookie":
            return self.cookies.read(headers)
        bearer = self._counting_bearer(headers)
        if bearer is not None:
            marker = first_header(headers, RETRY_HEADER)
            if refreshing:
                return Credentials(bearer=True, refresh=[bearer], retry_marker=marker)
            return Credentials(bearer=True, access=[bearer], retry_marker=marker)
        if self.settings.token_transport == "header":
            return Credentials(bearer=False)
        return self.cookies.read(headers)

    def answers_in_headers(self, headers: RawHeaders) -> bool:
        """Whether this client gets its tokens in headers rather than cookies."""
        transport = self.settings.token_transport
        if transport != "any":
            return transport == "header"
        return self._counting_bearer(headers) is not None or first_header(headers, MODE_HEADER) == "header"

    def _counting_bearer(self, headers: RawHeaders) -> str | None:
        """The bearer token, if it counts: another service's is as if it were not there, beside cookies of ours.

        What has the form of one of our tokens counts, whatever it is worth: a client that sends one is never served by
        its cookies instead. The cookies beside another one are checked for CSRF as ever.
        """
        bearer = bearer_token(headers)
        if bearer is None or self.settings.token_transport != "any" or _has_our_form(bearer):
            return bearer
        return None if self.cookies.read(headers).presents_session else bearer

    # -- out

    def issued(
        self, tokens: TokenSet, carried: Credentials, path: str, *, now: int, in_headers: bool, login: bool
    ) -> RawHeaders:
        """The response headers that hand out a new pair, in place of whatever earlier cookies are in the jar.

        Args:
            tokens: The pair.
            carried: What the request carried.
            path: The request's path as the browser sees it.
            now: The time, ms.
            in_headers: Whether the tokens travel in headers.
            login: Whether the pair is that of a new session.
        """
        if in_headers:
            out = [
                (ACCESS_HEADER, tokens.access_token.value.encode()),
                (REFRESH_HEADER, tokens.refresh_token.value.encode()),
            ]
        else:
            out = self.cookies.issued(tokens, carried, path, now=now, login=login)
        if tokens.anti_csrf_token is not None:
            out.append((ANTI_CSRF_HEADER, tokens.anti_csrf_token.value.encode()))
        if self.settings.speaks_supertokens:
            out += client_protocol.issued(tokens, in_headers=in_headers)
        return out

    def access_changed(self, token: IssuedToken, access: AccessToken, *, now: int, in_headers: bool) -> RawHeaders:
        """The response headers that replace the access token alone."""
        if in_headers:
            out = [(ACCESS_HEADER, token.value.encode())]
        else:
            until = self._idle.expiry(now, access.lifetime) if access.persistent else None
            out = self.cookies.access_changed(token, now=now, until=until)
        if self.settings.speaks_supertokens:
            out += client_protocol.access_changed(access, in_headers=in_headers)
        return out

    def cleared(self, carried: Credentials, path: str, *, in_headers: bool) -> RawHeaders:
        """The response headers that end the session at the client: none for a client that has presented none.

        Another site can make a browser ask without its cookies and keep what the answer sets: what is cleared without
        having come would log its users out. So a cookie is cleared if it came, or if a token came and the browser keeps
        this cookie for another path. With the cookies goes what the browser has fetched ahead for whoever they named.

        Args:
            carried: What the request carried.
            path: The request's path as the browser sees it.
            in_headers: Whether the tokens travel in headers.
        """
        if not carried.presents_session:
            return []
        if in_headers:
            out = [(ACCESS_HEADER, b""), (REFRESH_HEADER, b"")]
        else:
            out = self.cookies.cleared(carried, path) + self._clear_site_data
        if self.settings.speaks_supertokens:
            out += client_protocol.cleared(in_headers=in_headers)
        return out

    def retry_marker(self, marker: str, *, now: int, in_headers: bool, persistent: bool) -> RawHeaders:
        """The response headers that mark a late parent's retry; `persistent` says whether its session is."""
        if in_headers:
            return [(RETRY_HEADER, marker.encode())]
        return self.cookies.retry_marker(marker, now=now, until=now + self.marker_lifetime if persistent else None)

    def retry_marker_cleared(self, *, in_headers: bool) -> RawHeaders:
        """The response headers that take the marker back after a success."""
        return [(RETRY_HEADER, b"")] if in_headers else self.cookies.retry_marker_cleared()


def _has_our_form(token: str) -> bool:
    return access_token.has_form(token) or refresh_token.has_form(token)


def request_path(scope: Any) -> str:
    """The path as the browser sees it, as far as the server tells."""
    path: str = scope.get("path", "/")
    root: str = scope.get("root_path", "")
    return path if path.startswith(root) else root + path
