"""What the `supertokens-website` browser client reads beside the cookies, for both of its generations.

Generation 4.0-4.3 follows ``id-refresh-token`` and ``anti-csrf``; from 4.4 on it follows ``front-token``, and in its
header mode takes the tokens from headers. One server speaks to all of them at once.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, TypedDict

from asgi_sessions.asgi.header_names import (
    ACCESS_HEADER,
    ANTI_CSRF_HEADER,
    BACKGROUND_HEADER,
    FORM_TAG_HEADER,
    MODE_HEADER,
    REFRESH_HEADER,
    RETRY_HEADER,
)
from asgi_sessions.asgi.response_headers import RawHeaders
from asgi_sessions.errors import InvalidClaim
from asgi_sessions.manager.records import TokenSet
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.protocol.user_id import plain
from asgi_sessions.settings import SessionSettings

_ID_HEADER = b"id-refresh-token"
_FRONT_HEADER = b"front-token"
_ANTI_CSRF = ANTI_CSRF_HEADER.decode()
_MODE = MODE_HEADER.decode()
_REQUEST_HEADERS = (_ANTI_CSRF, "supertokens-sdk-name", "supertokens-sdk-version")
_NEWER_REQUEST_HEADERS = ("rid", "fdi-version", _MODE, "authorization")
_HEADER_MODE = tuple(name.decode() for name in (ACCESS_HEADER, REFRESH_HEADER, RETRY_HEADER))


class CorsHeaders(TypedDict):
    """Arguments for Starlette's CORSMiddleware."""

    allow_origins: Sequence[str]
    allow_credentials: bool
    allow_methods: Sequence[str]
    allow_headers: Sequence[str]
    expose_headers: Sequence[str]


def cors_headers(settings: SessionSettings) -> CorsHeaders:
    """Return the CORS settings that pages on trusted origins need.

    Use them as ``app.add_middleware(CORSMiddleware, **cors_headers(settings))``.

    Args:
        settings: Exactly the `trusted_origins` become the allowed origins; credentials are allowed.

    Returns:
        Keyword arguments for ``starlette.middleware.cors.CORSMiddleware``.

    Raises:
        TypeError: The argument is no `SessionSettings`.
    """
    if not isinstance(settings, SessionSettings):
        raise TypeError(f"settings must be a SessionSettings, not {type(settings).__name__}")
    allowed = [BACKGROUND_HEADER.decode(), FORM_TAG_HEADER.decode()]
    exposed: list[str] = []
    if settings.speaks_supertokens:
        allowed += [*_REQUEST_HEADERS, *_NEWER_REQUEST_HEADERS]
        exposed += [_ID_HEADER.decode(), _ANTI_CSRF, _FRONT_HEADER.decode()]
    elif settings.uses_csrf_tokens:
        allowed.append(_ANTI_CSRF)
        exposed.append(_ANTI_CSRF)
    if settings.token_transport != "cookie":
        allowed += ["authorization", _MODE, RETRY_HEADER.decode()]
        exposed += _HEADER_MODE
    return CorsHeaders(
        allow_origins=settings.trusted_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=list(dict.fromkeys(allowed)),
        expose_headers=list(dict.fromkeys(exposed)),
    )


def issued(tokens: TokenSet, *, in_headers: bool) -> RawHeaders:
    """The extra headers of an answer that hands out a new pair."""
    out: RawHeaders = []
    if tokens.id_refresh_token is not None:
        until = datetime_to_ms(tokens.id_refresh_token.expires_at)
        out.append((_ID_HEADER, f"{tokens.id_refresh_token.value};{until}".encode()))
    out.append((_FRONT_HEADER, _front_token(tokens.access)))
    return [*out, _exposed(out, anti_csrf=tokens.anti_csrf_token is not None, in_headers=in_headers)]


def access_changed(access: AccessToken, *, in_headers: bool) -> RawHeaders:
    """The extra headers of an answer that replaces the access token."""
    out = [(_FRONT_HEADER, _front_token(access))]
    return [*out, _exposed(out, anti_csrf=False, in_headers=in_headers)]


def cleared(*, in_headers: bool) -> RawHeaders:
    """The extra headers of an answer that ends the session. A word each: proxies strip empty headers."""
    out = [(_ID_HEADER, b"remove"), (_FRONT_HEADER, b"remove")]
    return [*out, _exposed(out, anti_csrf=False, in_headers=in_headers)]


def failed_claim(error: InvalidClaim) -> dict[str, Any]:
    """What the answer to a failed claim holds besides, for the client's event ``API_INVALID_CLAIM``."""
    return {"claimValidationErrors": [{"id": error.claim, "reason": error.reason or {"message": error.detail}}]}


def _front_token(access: AccessToken) -> bytes:
    payload = access.payload
    claims = dict(payload) if isinstance(payload, dict) else {}
    claims |= {"iat": access.issued_at // 1000, "exp": access.expires_at // 1000}
    owner = plain(access.user_id)
    return base64.b64encode(json.dumps({"uid": owner, "ate": access.expires_at, "up": claims}).encode())


def _exposed(out: RawHeaders, *, anti_csrf: bool, in_headers: bool) -> tuple[bytes, bytes]:
    names = [name.decode() for name, _ in out]
    if anti_csrf:
        names.append(_ANTI_CSRF)
    if in_headers:
        names += _HEADER_MODE
    return b"access-control-expose-headers", ", ".join(names).encode()
