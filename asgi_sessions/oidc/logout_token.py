"""Logout tokens of OpenID Connect Back-Channel Logout 1.0: read, and checked by every rule of its section 2.6.

A token is bounded and plain before anything looks closer, its header names no key of its own, and nothing of it counts
before the signature has been verified. PyJWT verifies signatures; it does not compare `typ`, and takes claims of the
wrong types, so claims are read here.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWK, PyJWTError

from asgi_sessions.oidc.provider import OIDCProvider

__all__ = ["InvalidLogoutToken", "LogoutToken", "Presented", "verified"]

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
TYPES: Final = frozenset({"jwt", "logout+jwt", "application/logout+jwt"})
MAX_LENGTH: Final = 16_384
MAX_IDENTIFIER: Final = 1000
TOLERANCE_MS: Final = 60_000
"""By which clocks may differ."""
LEAST_RSA_BITS: Final = 2048
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class InvalidLogoutToken(Exception):
    """It is no logout token for us. The text says why, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a token says of itself, which nobody has verified yet.

    Attributes:
        text: The token.
        issuer: Who is said to have made it.
        algorithm: By which it is said to be signed.
        key_id: By which key; None where it does not say.
        type: The header's `typ`, in lower case; None where it has none.
        claims: All of them.
    """

    text: str
    issuer: Any
    algorithm: str
    key_id: str | None
    type: str | None
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> "Presented":
        """Take a token apart.

        Raises:
            InvalidLogoutToken: It is no signed JWT, or its header asks for what nobody here does.
        """
        if len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text):
            raise InvalidLogoutToken("It is no signed JWT.")
        header, claims, _ = (_json(part) if place < 2 else None for place, part in enumerate(text.split(".")))
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise InvalidLogoutToken("Its header and its claims must be JSON objects, no name twice.")
        algorithm, key_id, kind = (header.get(name) for name in ("alg", "kid", "typ"))
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None) or not isinstance(kind, str | None):
            raise InvalidLogoutToken("Its header's alg, kid and typ must be texts.")
        if "crit" in header or header.get("b64", True) is not True:
            raise InvalidLogoutToken("Its header has extensions that are not understood.")
        return cls(text, claims.get("iss"), algorithm, key_id, None if kind is None else kind.lower(), claims)


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


def verified(presented: Presented, provider: OIDCProvider, keys: Sequence[Mapping[str, Any]], now: int) -> LogoutToken:
    """What a token says that this provider has signed for us.

    Args:
        presented: The token.
        provider: The one that it names.
        keys: The provider's, as JWKs; one of those that fit must have signed it.
        now: ms.

    Raises:
        InvalidLogoutToken: It is none.
    """
    if presented.algorithm not in provider.algorithms:
        raise InvalidLogoutToken("It is signed by an algorithm that this provider is not to use.")
    if presented.type is not None and presented.type not in TYPES:
        raise InvalidLogoutToken("Its typ is none of a logout token.")
    if not any(_has_signed(key, presented) for key in keys if _fits(key, presented)):
        raise InvalidLogoutToken("None of the provider's keys has signed it.")
    return _read(presented.claims, provider, now)


def _fits(key: Mapping[str, Any], presented: Presented) -> bool:
    if presented.key_id is not None and key.get("kid") != presented.key_id:
        return False
    if presented.algorithm == "Ed25519" and key.get("crv") != "Ed25519":
        return False
    of_key = key.get("alg", presented.algorithm)
    return bool(key.get("use", "sig") == "sig" and _by_older_name(of_key) == _by_older_name(presented.algorithm))


def _has_signed(key: Mapping[str, Any], presented: Presented) -> bool:
    signed, _, signature = presented.text.rpartition(".")
    name = _by_older_name(presented.algorithm)
    try:
        made = PyJWK({member: value for member, value in key.items() if member != "alg"}, algorithm=name)
        if key.get("kty") == "RSA" and made.key.key_size < LEAST_RSA_BITS:
            return False
        return bool(made.Algorithm.verify(signed.encode(), made.key, _decoded(signature)))
    except (PyJWTError, ValueError, TypeError, LookupError):  # a key of another kind, or a broken one
        return False


def _by_older_name(algorithm: Any) -> Any:
    """What PyJWT calls it, which does not know RFC 9864 yet."""
    return "EdDSA" if algorithm == "Ed25519" else algorithm


def _read(claims: Mapping[str, Any], provider: OIDCProvider, now: int) -> LogoutToken:
    if claims.get("iss") != provider.issuer:
        raise InvalidLogoutToken("It is of another issuer.")
    audience = claims.get("aud")
    if provider.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidLogoutToken("It is for another audience.")
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    if issued_at > now + TOLERANCE_MS:
        raise InvalidLogoutToken("It was issued in the future.")
    if expires_at <= now - TOLERANCE_MS:
        raise InvalidLogoutToken("It has expired.")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidLogoutToken("Its events name no logout.")
    if "nonce" in claims:
        raise InvalidLogoutToken("It has a nonce, as only an ID token has.")
    jti, sid, sub = (_identifier(claims, name) for name in ("jti", "sid", "sub"))
    if jti is None:
        raise InvalidLogoutToken("It has no jti.")
    if sid is None and sub is None:
        raise InvalidLogoutToken("It names neither a session nor a subject.")
    return LogoutToken(sid, sub, jti, expires_at)


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise InvalidLogoutToken(f"Its {name} is no time.")
    return int(value * 1000)


def _identifier(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER):
        raise InvalidLogoutToken(f"Its {name} is no text of 1 to {MAX_IDENTIFIER} characters.")
    return value


def _json(part: str) -> Any:
    try:
        return json.loads(_decoded(part), object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidLogoutToken("Its header or its claims are no JSON, or have a name twice.") from None


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
