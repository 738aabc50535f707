"""Access tokens: JWTs that this application signs and alone accepts.

A token's header must be, byte for byte, one that a key of ours writes, so `alg`, `kid` and `typ` are no input
and `none`, `jku`, `jwk`, `x5u`, `crit` and `b64` cannot occur. The signature comes before everything else.

Sources: RFC 7519 (JWT), RFC 8725 (best practices), RFC 9068 (`at+jwt`).
"""

import base64
import re
from typing import Final

from jwt import PyJWS, PyJWTError

from asgi_sessions.errors import TryRefreshToken
from asgi_sessions.protocol import access_claims
from asgi_sessions.protocol.access_claims import LEGACY_AUDIENCE
from asgi_sessions.protocol.access_content import BACKGROUND, LEGACY, ORDINARY, AccessLineage, AccessToken
from asgi_sessions.protocol.key_id import KEY_ID_PATTERN
from asgi_sessions.protocol.keyring import ALGORITHMS, TOKEN_TYPE, Keyring, SigningKey

__all__ = [
    "AccessLineage",
    "AccessToken",
    "BACKGROUND",
    "InvalidAccessToken",
    "LEGACY",
    "LEGACY_AUDIENCE",
    "LegacyAccessToken",
    "MAX_LENGTH",
    "ORDINARY",
    "has_form",
    "looks_signed",
    "sign",
    "verify",
]

MAX_LENGTH: Final = 4096
"""Characters, as many as a cookie holds."""

_LEAST_LENGTH: Final = 100  # the header alone has some 90, the signature 43 or more

_JWS = PyJWS(algorithms=list(ALGORITHMS))

# A signature has 32 or 64 bytes. Its last character has spare bits that must be zero: one spelling per token.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.(?:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]|[A-Za-z0-9_-]{85}[AQgw])")
_HEADER = re.compile(
    r'\{"alg":"(?:%s)","kid":"(%s)","typ":"%s"\}'  # noqa: UP031  # braces are literal here
    % ("|".join(ALGORITHMS), KEY_ID_PATTERN, re.escape(TOKEN_TYPE))
)


class InvalidAccessToken(TryRefreshToken):
    """This text is not an access token of ours.

    Attributes:
        unknown_key_id: Whether it looks like ours but for its key, which another worker may have just made.
    """

    def __init__(self, *, unknown_key_id: bool = False) -> None:
        super().__init__()
        self.unknown_key_id = unknown_key_id


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
    body = access_claims.written(token, audience).encode()
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
        until = keyring.verifies_until(key, access_token_lifetime, overlap)
        token = access_claims.read(_decoded(body).decode(), audience, until)
    except (PyJWTError, ValueError, TypeError, LookupError, RecursionError):
        raise InvalidAccessToken from None
    if token.legacy:
        raise LegacyAccessToken(token)
    return token


def looks_signed(text: str, keyring: Keyring) -> bool:
    """Whether the text begins as a token of one of these keys does, or of one that another worker may have just made.

    What does not is no token of ours, and costs no look at a signature.
    """
    if not _LEAST_LENGTH <= len(text) <= MAX_LENGTH:
        return False
    header = text.partition(".")[0]
    return keyring.by_header(header) is not None or _names_unknown_key(header, keyring)


def has_form(text: str) -> bool:
    """Whether the text begins as an access token of this library does, of whichever key."""
    return len(text) <= MAX_LENGTH and _key_id_of(text.partition(".")[0]) is not None


def _names_unknown_key(header: str, keyring: Keyring) -> bool:
    key_id = _key_id_of(header)
    return key_id is not None and keyring.get(key_id) is None


def _key_id_of(header: str) -> str | None:
    # Matched, not parsed: no JSON trick in a header costs more than this, and no odd one makes us load keys.
    try:
        match = _HEADER.fullmatch(_decoded(header).decode("ascii"))
    except ValueError:
        return None
    return None if match is None else match[1]


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
