"""Logout tokens of OpenID Connect Back-Channel Logout 1.0, checked by every rule of its section 2.6."""

from dataclasses import dataclass
from typing import Final

from asgi_sessions.oidc.provider import OIDCProvider
from asgi_sessions.oidc.signed_jwt import (
    TOLERANCE_MS,
    InvalidToken,
    Presented,
    identifier,
    require_audience,
    require_issued,
    required_identifier,
    time_of,
)

__all__ = ["LogoutToken", "verified"]

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
TYPES: Final = frozenset({"jwt", "logout+jwt", "application/logout+jwt"})
UNSAID_LIFETIME_MS: Final = 120_000
"""Of a token without `exp`, which the specification asks for since December 2023, and some providers still do not send:
the longest that its section 4 recommends."""


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """Whose session has ended, as the provider says.

    Attributes:
        sid: The provider's session; None if all of the subject's have ended.
        sub: The subject; None where only the session is named.
        jti: The token's own name.
        expires_at: ms.
    """

    sid: str | None
    sub: str | None
    jti: str
    expires_at: int


def verified(presented: Presented, provider: OIDCProvider, now: int) -> LogoutToken:
    """What a token says to us.

    Args:
        presented: The token; the provider that it names has signed it.
        provider: That one.
        now: ms.

    Raises:
        InvalidToken: It is none.
    """
    if presented.type is not None and presented.type not in TYPES:
        raise InvalidToken("Its typ is none of a logout token.")
    claims = presented.claims
    require_audience(claims, [provider.client_id])
    require_issued(claims, now)
    expires_at = time_of(claims, "exp") if "exp" in claims else time_of(claims, "iat") + UNSAID_LIFETIME_MS
    if expires_at <= now - TOLERANCE_MS:
        raise InvalidToken("It has expired.")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidToken("Its events name no logout.")
    if "nonce" in claims:
        raise InvalidToken("It has a nonce, as only an ID token has.")
    jti, sid, sub = required_identifier(claims, "jti"), identifier(claims, "sid"), identifier(claims, "sub")
    if sid is None and sub is None:
        raise InvalidToken("It names neither a session nor a subject.")
    return LogoutToken(sid, sub, jti, expires_at)
