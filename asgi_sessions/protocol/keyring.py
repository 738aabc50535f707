"""Signing keys, and which of them signs and verifies when.

A key signs until its successor does; its tokens stay good until the last of them has expired. One algorithm
per key. Sources: RFC 8725, sections 3.1 and 3.5; RFC 7517 (JWK).
"""

import base64
import json
import secrets
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt import InvalidKeyError, PyJWS

from asgi_sessions.protocol.key_id import WRONG_KEY_ID, is_key_id
from asgi_sessions.protocol.sealing import derive

__all__ = [
    "ALGORITHMS",
    "PUBLISH_AHEAD_MS",
    "TOKEN_TYPE",
    "Keyring",
    "SigningKey",
    "generate",
]

ALGORITHMS: Final = ("HS256", "EdDSA", "ES256")
"""The algorithms of RFC 7518 and RFC 8037 that keys may have; EdDSA means Ed25519."""

TOKEN_TYPE: Final = "at+jwt"  # no password: the media type of RFC 9068
"""The `typ` of an access token, so that no other kind of JWT passes for one."""

PUBLISH_AHEAD_MS: Final = 60_000
"""A new key is known to every worker for so long before the first token is signed with it."""

MINIMUM_SECRET: Final = 32
"""Bytes of an HS256 key (RFC 7518, section 3.2)."""

PrivateKey = bytes | Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = bytes | Ed25519PublicKey | EllipticCurvePublicKey


def generate(algorithm: str) -> bytes:
    """A new key's material: 32 random bytes for HS256, else a PKCS #8 private key in PEM.

    Raises:
        ValueError: The algorithm is not one of `ALGORITHMS`.
    """
    if algorithm == "HS256":
        return secrets.token_bytes(MINIMUM_SECRET)
    if algorithm == "EdDSA":
        private: Ed25519PrivateKey | EllipticCurvePrivateKey = Ed25519PrivateKey.generate()
    elif algorithm == "ES256":
        private = generate_private_key(SECP256R1())
    else:
        raise ValueError(_WRONG_ALGORITHM)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# Without slots: the loaded keys are cached on the instance.
@dataclass(frozen=True)
class SigningKey:
    """A key for access tokens.

    Attributes:
        key_id: The `kid` of its tokens, 16 lower-case hex digits.
        serial: Its place among the keys; a successor has a higher one.
        algorithm: One of `ALGORITHMS`.
        secret: Key bytes for HS256, 32 or more; else a PKCS #8 private key in PEM.
        signs_from: ms.
        derived: True derives an HS256 key from the secret; False takes the secret itself, as an application's
            own key must be.

    Raises:
        ValueError: The id, the algorithm or the secret is not as it should be. Names no secret.
    """

    key_id: str
    serial: int
    algorithm: str
    secret: bytes = field(repr=False)
    signs_from: int
    derived: bool = True

    def __post_init__(self) -> None:
        if not is_key_id(self.key_id):
            raise ValueError(WRONG_KEY_ID)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(_WRONG_ALGORITHM)
        if self.algorithm == "HS256" and len(self.secret) < MINIMUM_SECRET:
            raise ValueError(f"an HS256 key has {MINIMUM_SECRET} bytes or more (RFC 7518, section 3.2)")
        _ = self.sign_key  # a key that cannot sign fails where it is loaded, not at somebody's login

    @cached_property
    def sign_key(self) -> PrivateKey:
        """What signs, as PyJWT takes it."""
        if self.algorithm == "HS256":
            if self.derived:
                return derive(self.secret, "access-token")
            try:
                return bytes(_JWA["HS256"].prepare_key(self.secret))
            except InvalidKeyError:
                raise ValueError("an HS256 key is a secret of its own, not one of a key pair") from None
        try:
            private = load_pem_private_key(self.secret, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError(f"the {self.algorithm} key is not an unencrypted private key in PEM") from None
        if self.algorithm == "EdDSA" and isinstance(private, Ed25519PrivateKey):
            return private
        if (
            self.algorithm == "ES256"
            and isinstance(private, EllipticCurvePrivateKey)
            and isinstance(private.curve, SECP256R1)
        ):
            return private
        raise ValueError(f"the private key is not one for {self.algorithm}")

    @cached_property
    def verify_key(self) -> PublicKey:
        """What verifies, as PyJWT takes it: the public key of an asymmetric algorithm."""
        key = self.sign_key
        return key if isinstance(key, bytes) else key.public_key()

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Whether this key has made the signature (RFC 7515, section 5.2)."""
        return _JWA[self.algorithm].verify(signed, self.verify_key, signature)

    @cached_property
    def header_segment(self) -> str:
        """The first segment of every token that this key signs, byte for byte."""
        header = {"alg": self.algorithm, "kid": self.key_id, "typ": TOKEN_TYPE}
        return _base64url(json.dumps(header, separators=(",", ":")).encode())

    def public_jwk(self) -> dict[str, Any] | None:
        """The key for others to verify with; None for HS256, whose key is a secret.

        Source: RFC 7517; RFC 7518, section 6.2; RFC 8037, section 2.
        """
        key = self.verify_key
        if isinstance(key, bytes):
            return None
        if isinstance(key, Ed25519PublicKey):
            x = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(x)}
        else:
            point = key.public_numbers()
            x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
            jwk = {"kty": "EC", "crv": "P-256", "x": _base64url(x), "y": _base64url(y)}
        return jwk | {"kid": self.key_id, "use": "sig", "alg": self.algorithm}


class Keyring:
    """An unchanging snapshot of the keys for access tokens.

    Args:
        keys: In any order.
    """

    __slots__ = ("_by_header", "_by_id", "_ends", "keys")

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self.keys = tuple(sorted(keys, key=_serial))
        """The keys, oldest first."""
        # A key ends when the first of those after it begins, which need not be the very next one: a worker whose clock
        # was wrong may have made that one for a day to come.
        starts = accumulate((key.signs_from for key in reversed(self.keys)), min)
        self._ends: tuple[int | None, ...] = (*reversed([*starts][:-1]), None)
        self._by_id = {key.key_id: key for key in self.keys}
        self._by_header = {key.header_segment: key for key in self.keys}

    @property
    def newest(self) -> SigningKey:
        """The key that signs last, perhaps not yet.

        Raises:
            LookupError: There is no key.
        """
        if not self.keys:
            raise LookupError("the keyring is empty")
        return self.keys[-1]

    def signing_key(self, now: int) -> SigningKey:
        """The newest key that signs already; the oldest one where none does.

        Args:
            now: The time, ms.

        Raises:
            LookupError: There is no key.
        """
        if not self.keys:
            raise LookupError("the keyring is empty")
        return next((key for key in reversed(self.keys) if key.signs_from <= now), self.keys[0])

    def get(self, key_id: str) -> SigningKey | None:
        """The key of this name."""
        return self._by_id.get(key_id)

    def by_header(self, segment: str) -> SigningKey | None:
        """The key whose tokens begin with exactly this segment."""
        return self._by_header.get(segment)

    def signs_until(self, key: SigningKey) -> int | None:
        """When the first of the key's successors takes over, ms; None while it has none."""
        if key is self.keys[-1]:  # as most are
            return None
        after = bisect_right(self.keys, key.serial, key=_serial)
        return self._ends[after - 1]

    def verifies_until(self, key: SigningKey, access_lifetime: int, overlap: bool) -> int | None:
        """When the last token of this key has expired, ms; None while the key has no successor.

        Args:
            key: One of the keys.
            access_lifetime: Of access tokens, ms.
            overlap: False ends the key's tokens when its successor takes over.
        """
        if key is self.keys[-1]:  # as most are
            return None
        until = self.signs_until(key)
        return until if until is None or not overlap else until + access_lifetime

    def rotation_due(self, now: int, lifetime: int, publish_ahead: int = PUBLISH_AHEAD_MS, *, algorithm: str) -> bool:
        """Whether a new key should be published now: the newest one is old, of another algorithm, or far from its time.

        A worker makes a key that signs ``publish_ahead`` from then. One that would begin more than a lifetime later
        was made by a wrong clock, and nobody waits for it.

        Args:
            now: The time, ms.
            lifetime: For how long a key signs, ms.
            publish_ahead: How long before it signs a key is published, ms.
            algorithm: What new keys are for.
        """
        if not self.keys:
            return True
        newest, soon = self.keys[-1], now + publish_ahead
        far = newest.signs_from > soon + lifetime
        return newest.algorithm != algorithm or newest.signs_from + lifetime <= soon or far

    def public_jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The JWK set (RFC 7517, section 5): asymmetric keys only, those to come included.

        The newest is first: some libraries stop at the first key of another kind, such as stand there after a change
        of algorithm.
        """
        return {"keys": [jwk for key in reversed(self.keys) if (jwk := key.public_jwk()) is not None]}


def _serial(key: SigningKey) -> int:
    return key.serial


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


_JWS = PyJWS(algorithms=list(ALGORITHMS))
_JWA = {name: _JWS.get_algorithm_by_name(name) for name in ALGORITHMS}
_WRONG_ALGORITHM = f"the algorithm is one of {', '.join(ALGORITHMS)}"
