"""The cookies that the settings ask for, and those of earlier settings: read, set and cleared."""

from itertools import product

from asgi_sessions.asgi.credentials import MAX_COPIES, Credentials, first_header
from asgi_sessions.asgi.response_headers import RawHeaders
from asgi_sessions.manager.records import IssuedToken, TokenSet
from asgi_sessions.protocol.cookies import (
    ACCESS_COOKIE,
    ID_REFRESH_COOKIE,
    REFRESH_COOKIE,
    RETRY_COOKIE,
    CookieSpec,
    path_matches,
    prefixed_name,
    values,
)
from asgi_sessions.protocol.planted_cookies import clear_planted
from asgi_sessions.settings import SessionSettings


class SessionCookies:
    """The cookies of one configuration. Holds no state of any request.

    Attributes:
        access: The access token's.
        refresh: The refresh token's.
        retry: The retry marker's.
        id_refresh: The third one of ``client_protocol="supertokens"``, else None.
        names: The names of all, earlier ones included, the access token's first.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.access = self._present(ACCESS_COOKIE, settings.access_token_path)
        self.refresh = self._present(REFRESH_COOKIE, settings.refresh_cookie_path)
        self.retry = self._present(RETRY_COOKIE, settings.refresh_cookie_path)
        self.id_refresh = (
            self._present(ID_REFRESH_COOKIE, settings.access_token_path, http_only=False)
            if settings.speaks_supertokens
            else None
        )
        self._all = [self.access, self.refresh, *([self.id_refresh] if self.id_refresh else [])]
        self._older = {
            self.access: self._earlier(ACCESS_COOKIE, self.access),
            self.refresh: self._earlier(REFRESH_COOKIE, self.refresh),
        }
        if self.id_refresh:
            self._older[self.id_refresh] = self._earlier(ID_REFRESH_COOKIE, self.id_refresh)
        self._all_older = [(cookie, older) for cookie in self._all for older in self._older[cookie]]
        # Where the prefixes say so; without them a cookie of an earlier name, domain or path may be anybody's.
        refresh_names = [cookie.name.lower() for cookie in (self.refresh, *self._older[self.refresh])]
        self._only_host_sets_refresh = all(name.startswith("__host-") for name in refresh_names)
        self._names = {cookie: cookie.name.encode() for cookie in [*self._all, self.retry]}
        # Names alone: a cookie of the same name and another domain or path comes as one more copy.
        self._older_names = {
            cookie: tuple(dict.fromkeys(one.name.encode() for one in older if one.name != cookie.name))
            for cookie, older in self._older.items()
        }
        self.names = (*self._names.values(), *(name for names in self._older_names.values() for name in names))

    def read(self, headers: RawHeaders) -> Credentials:
        """What a request carries in cookies: of each the present one, or where that is missing an earlier one.

        Args:
            headers: ``scope["headers"]``.
        """
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

    def may_hide_refresh(self, path: str) -> bool:
        """Whether a refresh cookie of an earlier configuration may be in the jar that does not come to this path."""
        return any(not path_matches(path, older.path) for older in self._older[self.refresh])

    # -- out; the arguments are those of `Transport`

    def issued(self, tokens: TokenSet, carried: Credentials, path: str, *, now: int, login: bool) -> RawHeaders:
        """Set the cookies of a new pair, and clear whatever earlier cookies are in the jar.

        At a login all of them: it may come from another site's page, without the cookies, which would then stand
        beside the new ones as another session's.
        """
        until = tokens.expires_at if tokens.access.persistent else None
        # First of all what is cleared: browsers that do not know Partitioned take a cookie with it and one without for
        # the same.
        out = [
            (b"set-cookie", older.clear_header())
            for _, older in self._all_older
            if login or older.name in carried.names or not path_matches(path, older.path)
        ]
        out.append(_set(self.access, tokens.access_token, now, until))
        out.append(_set(self.refresh, tokens.refresh_token, now, until))
        if self.id_refresh is not None and tokens.id_refresh_token is not None:
            out.append(_set(self.id_refresh, tokens.id_refresh_token, now, until))
        return out

    def access_changed(self, token: IssuedToken, *, now: int, until: int | None) -> RawHeaders:
        """Replace the access token alone.

        Args:
            token: The new one.
            now: The time, ms.
            until: When the browser is to forget it, ms; None for when it is closed.
        """
        return [_set(self.access, token, now, until)]

    def cleared(self, carried: Credentials, path: str) -> RawHeaders:
        """Clear each cookie that came; if a token came, also those that the browser keeps for another path."""
        return [
            (b"set-cookie", cookie.clear_header())
            for cookie in (*self._all, *(older for _, older in self._all_older))
            if cookie.name in carried.names or (carried.holds_token and not path_matches(path, cookie.path))
        ]

    def unambiguous(self, carried: Credentials, headers: RawHeaders, path: str) -> RawHeaders:
        """Leave the present cookies alone in the jar, where several came and none counted.

        Earlier ones are cleared where the present one came too. Of a cookie that came in more copies than count, so
        that it is an attack, everything is cleared but the present and the earlier ones of ours: nothing tells which
        of the copies is the user's, and the next request, which has ours alone, is to end their sessions.
        """
        host = first_header(headers, b"host") or ""
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

    def retry_marker(self, marker: str, *, now: int, until: int | None) -> RawHeaders:
        """Set the retry marker until a time, ms, or with None until the browser is closed."""
        return [(b"set-cookie", self.retry.set_header(marker, now, until))]

    def retry_marker_cleared(self) -> RawHeaders:
        """Take the retry marker back."""
        return [(b"set-cookie", self.retry.clear_header())]

    def _is_crowded(self, cookie: CookieSpec, headers: RawHeaders) -> bool:
        """Whether more copies of a cookie came than count, under its present and its earlier names."""
        names = (cookie.name.encode(), *self._older_names[cookie])
        return sum(len(set(values(headers, name))) for name in names) > MAX_COPIES

    # -- which they are

    def _present(self, name: str, path: str, *, http_only: bool = True) -> CookieSpec:
        settings = self._settings
        prefix, domain, partitioned = settings.cookie_prefix_in_use, settings.cookie_domain, settings.cookie_partitioned
        return self._spec(name, prefix, domain, path, http_only, partitioned)

    def _earlier(self, name: str, present: CookieSpec) -> list[CookieSpec]:
        """The same cookie of earlier configurations: every combination with the present one, that left out."""
        settings, found = self._settings, {}
        older_partitioned = settings.older_cookie_partitioned
        for prefix, domain, path, partitioned in product(
            (settings.cookie_prefix_in_use, *settings.older_cookie_prefixes),
            (present.domain, *settings.older_cookie_domains),
            (present.path, *settings.older_cookie_paths),
            (present.partitioned, *(() if older_partitioned is None else (older_partitioned,))),
        ):
            try:
                cookie = self._spec(name, prefix, domain, path, present.http_only, partitioned)
            except ValueError:  # no browser took it then: the prefix was another
                cookie = self._spec(name, None, domain, path, present.http_only, partitioned)
            found[cookie.name, domain, path, partitioned] = cookie
        return [cookie for cookie in found.values() if cookie != present]

    def _spec(
        self, name: str, prefix: str | None, domain: str | None, path: str, http_only: bool, partitioned: bool
    ) -> CookieSpec:
        secure = self._settings.cookie_secure
        return CookieSpec(
            name=prefixed_name(name, prefix, secure=secure, domain=domain, path=path, http_only=http_only),
            path=path,
            domain=domain,
            secure=secure,
            # An earlier one that is partitioned has to be cleared in frames, where browsers heed nothing but None.
            samesite="none" if partitioned else self._settings.cookie_samesite,
            http_only=http_only,
            partitioned=partitioned,
        )


def _set(cookie: CookieSpec, token: IssuedToken, now: int, until: int | None) -> tuple[bytes, bytes]:
    return b"set-cookie", cookie.set_header(token.value, now, until)
