"""JWTs that an issuer has signed for us: read, and verified, before what one of them means is looked at.

A token is bounded and plain before anything looks closer, its header names no key of its own, and nothing of it counts
before the signature has been verified. PyJWT verifies signatures; it does not compare `typ`, and takes claims of the
wrong types, so claims are read here.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWK, PyJWTError

from asgi_sessions.oidc.issuer import TokenIssuer

__all__ = [
    "MAX_IDENTIFIER",
    "SHAPE",
    "TOLERANCE_MS",
    "InvalidToken",
    "Presented",
    "identifier",
    "json_object",
    "required_identifier",
    "require_audience",
    "require_issued",
    "require_signed",
    "time_of",
]

MAX_LENGTH: Final = 16_384
MAX_IDENTIFIER: Final = 1000
TOLERANCE_MS: Final = 60_000
"""By which clocks may differ."""
LEAST_RSA_BITS: Final = 2048
SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""Of a signed JWT."""
_LATEST: Final = 2**40
"""Seconds; what is later was meant as milliseconds."""


class InvalidToken(Exception):
    """It is no token for us. The text says why, and holds nothing of the token.

    Attributes:
        code: The same as a code of RFC 8935.
    """

    def __init__(self, text: str, code: str = "invalid_request") -> None:
        super().__init__(text)
        self.code = code


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
            InvalidToken: It is no signed JWT, or its header asks for what nobody here does.
        """
        if len(text) > MAX_LENGTH or not SHAPE.fullmatch(text):
            raise InvalidToken("It is no signed JWT.")
        try:
            header, claims = (json_object(_decoded(part)) for part in text.split(".")[:2])
        except ValueError:
            raise InvalidToken("It is no signed JWT.") from None
        algorithm, key_id, kind = (header.get(name) for name in ("alg", "kid", "typ"))
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None) or not isinstance(kind, str | None):
            raise InvalidToken("Its header's alg, kid and typ must be texts.")
        if "crit" in header or header.get("b64", True) is not True:
            raise InvalidToken("Its header has extensions that are not understood.")
        return cls(text, claims.get("iss"), algorithm, key_id, None if kind is None else kind.lower(), claims)


def require_signed(presented: Presented, issuer: TokenIssuer, keys: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless one of these keys has signed a token.

    Args:
        presented: The token.
        issuer: The one that it names.
        keys: The issuer's, as JWKs.

    Raises:
        InvalidToken: None has, or the algorithm is none of the issuer's.
    """
    if presented.algorithm not in issuer.algorithms:
        raise InvalidToken("It is signed by an algorithm that this issuer is not to use.", "invalid_key")
    fitting = [key for key in keys if _fits(key, presented)]
    if not fitting:
        raise InvalidToken("The issuer has no such key.", "invalid_key")
    if not any(_has_signed(key, presented) for key in fitting):
        raise InvalidToken("None of the issuer's keys has signed it.", "authentication_failed")


def require_audience(claims: Mapping[str, Any], ours: Collection[str]) -> None:
    """Raise unless one of these is the audience, or one of several.

    Raises:
        InvalidToken: It is for others, or for nobody.
    """
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in ours for each in several):
        raise InvalidToken("It is for another audience.", "invalid_audience")


def require_issued(claims: Mapping[str, Any], now: int) -> int:
    """When a token was issued, ms; not in the future, but for clocks that differ.

    Raises:
        InvalidToken: It does not say, or was not yet.
    """
    issued_at = time_of(claims, "iat")
    if issued_at > now + TOLERANCE_MS:
        raise InvalidToken("It was issued in the future.")
    return issued_at


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


def time_of(claims: Mapping[str, Any], name: str) -> int:
    """A time of a token, ms.

    Raises:
        InvalidToken: It is no number of seconds.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise InvalidToken(f"Its {name} is no time.")
    return int(value * 1000)


def identifier(claims: Mapping[str, Any], name: str) -> str | None:
    """What a member names, as a text; None where it is not there.

    Raises:
        InvalidToken: It is no text, or none that is kept.
    """
    value = claims.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER):
        raise InvalidToken(f"Its {name} is no text of 1 to {MAX_IDENTIFIER} characters.")
    return value


def required_identifier(claims: Mapping[str, Any], name: str) -> str:
    """The same, of what has to be there.

    Raises:
        InvalidToken: It is no text, or not there.
    """
    value = identifier(claims, name)
    if value is None:
        raise InvalidToken(f"It has no {name}.")
    return value


def json_object(text: bytes) -> dict[str, Any]:
    """A JSON object that means the same to every reader (RFC 7493).

    Raises:
        InvalidToken: It is none, is nested deeply, or has a name twice.
    """
    try:
        found = json.loads(text.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, RecursionError):
        raise InvalidToken("It is no JSON, or has a name twice.") from None
    if not isinstance(found, dict):
        raise InvalidToken("It is no JSON object.")
    return found


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
