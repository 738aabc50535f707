"""Access tokens: JWTs that this application signs and alone accepts.

A token's header must be, byte for byte, one that a key of ours writes, so `alg`, `kid` and `typ` are no input
and `none`, `jku`, `jwk`, `x5u`, `crit` and `b64` cannot occur. The signature comes before everything else.

Sources: RFC 7519 (JWT), RFC 8725 (best practices), RFC 9068 (`at+jwt`).
"""

import base64
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn

from jwt import PyJWS, PyJWTError

from asgi_sessions.errors import TryRefreshToken
from asgi_sessions.protocol import json_value, key_id, rotation, user_id
from asgi_sessions.protocol.keyring import ALGORITHMS, TOKEN_TYPE, Keyring, SigningKey
from asgi_sessions.protocol.refresh_token import MAX_GENERATION, stored_hash
from asgi_sessions.protocol.session_handle import is_handle

__all__ = [
    "AccessLineage",
    "AccessToken",
    "InvalidAccessToken",
    "LEGACY_AUDIENCE",
    "LegacyAccessToken",
    "MAX_LENGTH",
    "looks_signed",
    "sign",
    "verify",
]

MAX_LENGTH: Final = 4096
"""Characters, as many as a cookie holds."""

LEGACY_AUDIENCE: Final = "asgi_sessions"
"""Of every manager's tokens, before managers had audiences of their own."""

_LEAST_LENGTH: Final = 100  # the header alone has some 90, the signature 43 or more

_ISSUER: Final = "asgi_sessions"
_LARGEST_VERSION: Final = 2**63 - 1  # as large as its column
_LATEST: Final = 253_402_300_799  # the end of the year 9999, the last one that a datetime can be in

_JWS = PyJWS(algorithms=list(ALGORITHMS))

# A signature has 32 or 64 bytes. Its last character has spare bits that must be zero: one spelling per token.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.(?:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]|[A-Za-z0-9_-]{85}[AQgw])")
_HEADER = re.compile(
    r'\{"alg":"(?:%s)","kid":"(%s)","typ":"%s"\}'  # noqa: UP031  # braces are literal here
    % ("|".join(ALGORITHMS), key_id.PATTERN, re.escape(TOKEN_TYPE))
)


class InvalidAccessToken(TryRefreshToken):
    """This text is not an access token of ours.

    Attributes:
        unknown_key_id: Whether it looks like ours but for its key, which another worker may have just made.
    """

    def __init__(self, *, unknown_key_id: bool = False) -> None:
        super().__init__()
        self.unknown_key_id = unknown_key_id


@dataclass(frozen=True, slots=True)
class AccessLineage:
    """The place in the chain of the refresh token from the same pair (with ``promote_on="first_use"``).

    Attributes:
        generation: Counts from 0.
        token_hash: SHA-256 of the refresh token's secret; never the secret.
        issued_at: The refresh token's, ms.
        parent_hash: SHA-256 of the parent's secret; None for generation 0.
        parent_issued_at: ms; None for generation 0.
        grandparent_hash: SHA-256 of the grandparent's secret; None for generations 0 and 1.
        promoted: Whether the pair had been promoted when this token was signed
            (with ``client_protocol="supertokens"``).
    """

    generation: int
    token_hash: bytes = field(repr=False)
    issued_at: int
    parent_hash: bytes | None = field(default=None, repr=False)
    parent_issued_at: int | None = None
    grandparent_hash: bytes | None = field(default=None, repr=False)
    promoted: bool = False

    @property
    def lineage(self) -> rotation.Lineage:
        """The same with hashes as the database stores them."""
        return rotation.Lineage(
            generation=self.generation,
            token_hash=stored_hash(self.token_hash),
            issued_at=self.issued_at,
            parent_hash=stored_hash(self.parent_hash) if self.parent_hash else None,
            parent_issued_at=self.parent_issued_at,
            grandparent_hash=stored_hash(self.grandparent_hash) if self.grandparent_hash else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says.

    Attributes:
        handle: The session's.
        user_id: Of the type given at login.
        issued_at: ms.
        expires_at: ms; the caller compares it with its clock.
        session_expires_at: When the session ends at the latest, ms.
        auth_time: When the user has logged in, ms.
        generation: That of the refresh token from the same pair.
        anti_csrf_token: For the `anti-csrf` header; None where it is not used.
        lineage: None with ``promote_on="refresh"``.
        payload_json: The application's payload as JSON text.
        legacy: Whether an older version has issued it, which did not say for which manager.
        payload_version: How many times the payload had been replaced when this one was written.
    """

    handle: str
    user_id: user_id.UserId
    issued_at: int
    expires_at: int
    session_expires_at: int
    auth_time: int
    generation: int
    payload_json: str = field(repr=False)
    anti_csrf_token: str | None = field(default=None, repr=False)
    lineage: AccessLineage | None = None
    legacy: bool = False
    payload_version: int = 0

    @property
    def payload(self) -> Any:
        """The application's payload, a fresh object at each access."""
        return json_value.loads(self.payload_json)


class LegacyAccessToken(InvalidAccessToken):
    """An older version has issued this token, for whichever manager it was.

    Attributes:
        token: What it says.
    """

    def __init__(self, token: AccessToken) -> None:
        super().__init__()
        self.token = token


def sign(key: SigningKey, token: AccessToken, *, audience: str) -> str:
    """The token as a JWT. Its `exp` is never beyond the session's end.

    Args:
        key: To sign with.
        token: What to say.
        audience: For which manager it is, the setting ``audience`` (RFC 7519, section 4.1.3).

    Raises:
        TypeError: The user id is of a type that tokens cannot hold.
        ValueError: The payload is no JSON, a time is out of range, or the lineage is of another generation.
    """
    subject, kind = user_id.split(token.user_id)
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "aud": audience,
        "sub": subject,
        "sid": token.handle,
        "iat": _seconds(token.issued_at),
        "exp": _seconds(min(token.expires_at, token.session_expires_at)),
        "auth_time": _seconds(token.auth_time),
        "sexp": _seconds(token.session_expires_at),
        "gen": token.generation,
    }
    if kind is not None:
        claims["uit"] = kind
    if token.anti_csrf_token is not None:
        claims["csrf"] = token.anti_csrf_token
    if token.payload_version:
        claims["pv"] = token.payload_version
    if token.lineage is not None:
        if token.lineage.generation != token.generation:
            raise ValueError("the lineage is of another generation than its token")
        claims["lin"] = [
            _hash_text(token.lineage.token_hash),
            token.lineage.issued_at,
            _hash_text(token.lineage.parent_hash),
            token.lineage.parent_issued_at,
            _hash_text(token.lineage.grandparent_hash),
            *([True] if token.lineage.promoted else []),
        ]
    # Read and written again rather than pasted in: a text that is no single JSON value could add claims.
    claims["payload"] = token.payload
    body = _ENCODER.encode(claims).encode()
    headers = {"kid": key.key_id, "typ": TOKEN_TYPE}
    return _JWS.encode(body, key.sign_key, key.algorithm, headers)


def verify(
    text: object, keyring: Keyring, *, audience: str, access_token_lifetime: int, overlap: bool = True
) -> AccessToken:
    """What an authentic token says. It may have expired: compare `expires_at`.

    Args:
        text: What the client sent, of any type and length.
        keyring: The keys to accept.
        audience: For which manager it must be.
        access_token_lifetime: ms. Tokens of a key that no longer signs expire this long after its last one.
        overlap: False lets tokens expire as soon as their key no longer signs.

    Raises:
        InvalidAccessToken: Anything else than a token for this manager that one of these keys has signed.
        LegacyAccessToken: One of these keys has signed it, but an older version that named no manager.
    """
    # Bounded and plain ASCII before anything looks closer.
    if not isinstance(text, str) or len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text):
        raise InvalidAccessToken
    signed, _, signature = text.rpartition(".")
    header, _, body = signed.partition(".")
    key = keyring.by_header(header)
    if key is None:
        raise InvalidAccessToken(unknown_key_id=_names_unknown_key(header, keyring))
    try:
        # Not by PyJWS.decode: it reads the header again, which has already told the key, and takes three times as long.
        if not key.verifies(signed.encode(), _decoded(signature)):
            raise InvalidAccessToken
        claims = _DECODER.decode(_decoded(body).decode())
        return _read(claims, audience, keyring.verifies_until(key, access_token_lifetime, overlap))
    except (PyJWTError, ValueError, TypeError, LookupError, RecursionError):
        raise InvalidAccessToken from None


def looks_signed(text: str, keyring: Keyring) -> bool:
    """Whether the text begins as a token of one of these keys does, or of one that another worker may have just made.

    What does not is no token of ours, and costs no look at a signature.
    """
    if not _LEAST_LENGTH <= len(text) <= MAX_LENGTH:
        return False
    header = text.partition(".")[0]
    return keyring.by_header(header) is not None or _names_unknown_key(header, keyring)


def _names_unknown_key(header: str, keyring: Keyring) -> bool:
    # Matched, not parsed: no JSON trick in a header costs more than this, and no odd one makes us load keys.
    try:
        match = _HEADER.fullmatch(_decoded(header).decode("ascii"))
    except ValueError:
        return False
    return match is not None and keyring.get(match[1]) is None


def _read(claims: Any, audience: str, verifies_until: int | None) -> AccessToken:
    """The claims as values. ValueError, TypeError or LookupError where they are not what `sign` writes."""
    if type(claims) is not dict or claims["iss"] != _ISSUER:
        raise ValueError("not a token of ours")
    if claims["aud"] != audience:
        if claims["aud"] != LEGACY_AUDIENCE:
            raise ValueError("a token for another manager")
        raise LegacyAccessToken(replace(_read(claims, LEGACY_AUDIENCE, verifies_until), legacy=True))
    handle, generation, csrf = claims["sid"], claims["gen"], claims.get("csrf")
    if not is_handle(handle) or not _is_generation(generation) or not isinstance(csrf, str | None):
        raise ValueError("not a token of ours")
    expires_at = _milliseconds(claims["exp"])
    return AccessToken(
        handle=handle,
        user_id=user_id.join(_text(claims["sub"]), claims.get("uit")),
        issued_at=_milliseconds(claims["iat"]),
        expires_at=expires_at if verifies_until is None else min(expires_at, verifies_until),
        session_expires_at=_milliseconds(claims["sexp"]),
        auth_time=_milliseconds(claims["auth_time"]),
        generation=generation,
        anti_csrf_token=csrf,
        lineage=_read_lineage(generation, claims["lin"]) if "lin" in claims else None,
        payload_json=_ENCODER.encode(claims["payload"]),
        payload_version=_version(claims["pv"]) if "pv" in claims else 0,
    )


def _read_lineage(generation: int, lineage: Any) -> AccessLineage:
    token_hash, issued_at, parent_hash, parent_issued_at, grandparent_hash, *promoted = lineage
    if type(lineage) is not list or type(issued_at) is not int or type(parent_issued_at) not in {int, type(None)}:
        raise ValueError("not a lineage")
    if promoted and (len(promoted) > 1 or promoted[0] is not True):
        raise ValueError("not a lineage")
    return AccessLineage(
        generation,
        _hash_bytes(token_hash),
        issued_at,
        None if parent_hash is None else _hash_bytes(parent_hash),
        parent_issued_at,
        None if grandparent_hash is None else _hash_bytes(grandparent_hash),
        promoted=bool(promoted),
    )


def _seconds(milliseconds: int) -> int | float:
    if not 0 <= milliseconds <= _LATEST * 1000:
        raise ValueError("a time of the token is out of range")
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def _milliseconds(seconds: float) -> int:
    # Any type may come. The types themselves, since True is an int; NaN and the infinities fail the comparison.
    if type(seconds) not in {int, float} or not 0 <= seconds <= _LATEST:
        raise ValueError("not a time")
    return round(seconds * 1000)


def _is_generation(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_GENERATION


def _version(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_VERSION:
        raise ValueError("not a version of a payload")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _hash_text(token_hash: bytes | None) -> str | None:
    return None if token_hash is None else base64.urlsafe_b64encode(token_hash).decode("ascii").rstrip("=")


def _hash_bytes(text: Any) -> bytes:
    raw = base64.urlsafe_b64decode(_text(text) + "=")
    if len(raw) != 32:
        raise ValueError("not a hash")
    return raw


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
