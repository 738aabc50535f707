"""Requests that another site's page has sent are refused: by `protocol.csrf`, the anti-CSRF token and the settings."""

from collections.abc import Collection, MutableMapping
from typing import Any

from asgi_sessions.asgi.credentials import Credentials, header_values
from asgi_sessions.asgi.header_names import ANTI_CSRF_HEADER
from asgi_sessions.errors import CsrfRejected, TryRefreshToken
from asgi_sessions.manager.audit import Event, by, record
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.protocol import csrf as rules
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.anti_csrf import token_matches
from asgi_sessions.protocol.origin import looks_like_an_origin

_LONGEST = 200
"""Characters of a client's text in a log line."""
_NO_ORIGIN = "(not an origin)"
"""In place of one that no browser has written."""


class CrossSiteGuard:
    """Refuses what another site's page has sent. A refusal clears nothing."""

    def __init__(self, manager: SessionManager, scope: MutableMapping[str, Any]) -> None:
        self._settings = settings = manager.settings
        self._manager = manager
        self._scope = scope
        hosts = header_values(scope["headers"], b"host")
        self._asked: dict[str, Any] = {
            "scheme": scope.get("scheme", "http"),
            "host": hosts[0] if len(hosts) == 1 else None,
            "headers": [header for header in scope["headers"] if header[0].lower() in rules.BROWSER_HEADERS],
            "trusted_origins": settings.trusted_origins,
        }

    def check(self, access: AccessToken | None, csrf: bool | None, *, bearer: bool) -> None:
        """Check a request that carries a session.

        Args:
            access: Its access token, perhaps expired.
            csrf: None checks as the settings say; True checks safe methods too; False does not check.
            bearer: Whether the session came as ``Authorization: Bearer``, which no other site's page can send.

        Raises:
            CsrfRejected: Another site's page has made it.
            TryRefreshToken: The anti-CSRF token is missing or not the access token's.
        """
        mode = self._settings.csrf
        websocket = self._scope["type"] == "websocket"
        if csrf is False or bearer or (mode == "off" and csrf is None):
            return
        if mode != "token" or websocket:
            self._check(access, method="POST" if csrf else None)
        if mode in {"token", "both"} and not websocket:  # browsers let no page add headers to a handshake
            credentials = header_values(self._scope["headers"], ANTI_CSRF_HEADER)
            if access is None or len(credentials) != 1 or not token_matches(access.anti_csrf_token, credentials[0]):
                raise TryRefreshToken

    def check_login(self, carried: Credentials, allowed: Collection[str]) -> None:
        """Check a login, which the form of an identity provider's page may bring as well.

        Args:
            carried: As for `check_origin`.
            allowed: The origins of such pages. Nothing but a login asks for this exemption.

        Raises:
            CsrfRejected: Another site's page has made it.
        """
        method = self._scope.get("method", "")
        if not rules.is_form_of(allowed, method=method, headers=self._asked["headers"]):
            self.check_origin(carried, allowed=allowed)

    def check_origin(self, carried: Credentials, *, method: str | None = None, allowed: Collection[str] = ()) -> None:
        """Check a login, refresh or sign-out: by its origin, in every mode but ``off``.

        Args:
            carried: What the request carries, which says whose session was to be used.
            method: Another than the request's own: refresh and sign-out are never safe, a login by GET is the way
                back from an identity provider.
            allowed: The origins of which it was no form, for the log.

        Raises:
            CsrfRejected: Another site's page has made it.
        """
        if self._settings.csrf != "off":
            self._check(None, carried, method=method, allowed=allowed)

    def may_refresh_inline(self) -> bool:
        """Whether the request may rotate the tokens by the way; another site's image or frame may not."""
        settings = self._settings
        # While cookies of before are still read, a frame may have come with those of the whole browser.
        embedded = settings.cookie_partitioned and settings.older_cookie_partitioned is None
        return rules.refresh_allowed(**self._asked, embedded=embedded)

    def _check(
        self,
        access: AccessToken | None,
        carried: Credentials | None = None,
        *,
        method: str | None = None,
        allowed: Collection[str] = (),
    ) -> None:
        try:
            rules.check(
                method=method or self._scope.get("method", "GET"),
                websocket=self._scope["type"] == "websocket",
                require_origin=self._settings.require_origin,
                **self._asked,
            )
        except CsrfRejected:
            if access is None and carried is not None and len(carried.access) == 1:
                verifier = self._manager.lifecycle.verifier
                token = verifier.tokens[carried.access[0].encode("latin-1", "replace")]
                access = token if token is not None and verifier.is_known_live(token) else None
            if access is not None:
                record(
                    Event.CSRF_REJECTED,
                    session_handle=access.handle,
                    user_id=access.user_id,
                    **self._asked_for(),
                    **by(access.actor),
                )
            else:  # no event of a session's, and anybody's page can make any number of them
                self._log(allowed)
            raise

    def _log(self, allowed: Collection[str]) -> None:
        # Quoted: a path may hold a new line, and an Origin whatever the server lets through.
        asked = self._asked_for()
        origin, named = asked["origin"], ", ".join(allowed)[:_LONGEST]
        self._manager.cross_site_log.say(
            "Refused a request of another site's page that brought no good access token (%s, %s%s).",
            ascii(asked["request"]),
            "no Origin" if origin is None else f"Origin {origin!a}",
            f"; allow_origin of this login names {named!a}" if named else "",
        )

    def _asked_for(self) -> dict[str, str | None]:
        """What was asked for, and by a page of which origin; cut.

        What may hold a secret is left out: the query, and an ``Origin`` that no browser has written.
        """
        scope = self._scope
        method = scope.get("method", "") if scope["type"] == "http" else "WebSocket"
        origins = [
            origin if looks_like_an_origin(origin) else _NO_ORIGIN
            for origin in header_values(scope["headers"], b"origin")
        ]
        return {
            "request": f"{method} {scope.get('path', '')}"[:_LONGEST],
            "origin": ", ".join(origins)[:_LONGEST] if origins else None,
        }
