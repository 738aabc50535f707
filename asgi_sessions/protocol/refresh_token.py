"""The refresh token: what it carries, its children, and its form on the wire.

The token carries hashes of its ancestors' secrets, the database a hash of that hash: a copy of the database
yields no refresh token.
"""

import hashlib
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from asgi_sessions.protocol import envelope
from asgi_sessions.protocol.envelope import Envelope
from asgi_sessions.protocol.rotation import Lineage
from asgi_sessions.protocol.session_handle import handle_of, raw_handle

__all__ = ["RefreshToken", "RefreshTokenCodec", "has_form", "stored_hash", "MAX_GENERATION"]

MAX_GENERATION = 2**63 - 1
"""The database's BIGINT holds no higher one."""

_SECRET_SIZE = 32
_KIND, _LEGACY_KIND = 3, 1
# handle, which ancestors are known, generation, issued_at, secret, parent's hash and time, grandparent's hash
_BODY = struct.Struct(">16sBqq32s32sq32s")
_NO_HASH = bytes(32)
_HAS_PARENT, _HAS_PARENT_TIME, _HAS_GRANDPARENT = 1, 2, 4


def stored_hash(token_hash: bytes) -> bytes:
    """The form in which the database keeps a token's hash.

    Args:
        token_hash: SHA-256 of the token's secret, as tokens carry it.
    """
    return hashlib.sha256(token_hash).digest()


def has_form(text: str) -> bool:
    """Whether a text has the form of a refresh token, of whichever key and version."""
    return any(envelope.has_form(text, kind, _BODY.size) for kind in (_KIND, _LEGACY_KIND))


def _stored(token_hash: bytes | None) -> bytes | None:
    return None if token_hash is None else stored_hash(token_hash)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A link of a session's chain.

    Attributes:
        handle: The session's, 32 lower-case hex digits.
        generation: Counts from 0.
        secret: 32 random bytes, new for every token ever issued.
        issued_at: When the first token of this place in the chain was issued, ms: a twin keeps it.
        parent_hash: SHA-256 of the parent's secret; None for generation 0.
        parent_issued_at: ms; None for generation 0.
        grandparent_hash: SHA-256 of the grandparent's secret; None for generations 0 and 1.
    """

    handle: str
    generation: int
    secret: bytes = field(repr=False)
    issued_at: int
    parent_hash: bytes | None = field(default=None, repr=False)
    parent_issued_at: int | None = None
    grandparent_hash: bytes | None = field(default=None, repr=False)

    @classmethod
    def first(cls, handle: str, now: int) -> "RefreshToken":
        """Generation 0 of a new session. `now` is in ms."""
        return cls(handle, 0, secrets.token_bytes(_SECRET_SIZE), now)

    def child(self, now: int, secret: bytes | None = None) -> "RefreshToken":
        """The next generation. `now` is in ms."""
        return RefreshToken(
            self.handle,
            self.generation + 1,
            secret or secrets.token_bytes(_SECRET_SIZE),
            now,
            parent_hash=self.token_hash,
            parent_issued_at=self.issued_at,
            grandparent_hash=self.parent_hash,
        )

    def twin(self, secret: bytes | None = None) -> "RefreshToken":
        """The same place in the chain with a new secret: for a token that is too young to have a child.

        `issued_at` stays that of the first token there, so that a row of twins does not put off the child.
        """
        return replace(self, secret=secret or secrets.token_bytes(_SECRET_SIZE))

    @property
    def token_hash(self) -> bytes:
        """SHA-256 of the secret."""
        return hashlib.sha256(self.secret).digest()

    @property
    def lineage(self) -> Lineage:
        """The token's place in the chain, its hashes as the database stores them."""
        return Lineage(
            generation=self.generation,
            token_hash=stored_hash(self.token_hash),
            issued_at=self.issued_at,
            parent_hash=_stored(self.parent_hash),
            parent_issued_at=self.parent_issued_at,
            grandparent_hash=_stored(self.grandparent_hash),
        )


class RefreshTokenCodec:
    """Writes refresh tokens and reads them back.

    Args:
        keys: The 32-byte keys by their ids (16 lower-case hex digits).
        current_key_id: The key to write with.
        legacy_keys: Those of an older version's tokens, which are the same for every manager, by the same ids.
        legacy_until: An older version's token is good if it was issued before this time, ms.

    Raises:
        ValueError: A key has the wrong size, an id the wrong form, or the current key is missing.
    """

    __slots__ = ("_envelope", "_legacy", "_legacy_until")

    def __init__(
        self,
        keys: Mapping[str, bytes],
        current_key_id: str,
        *,
        legacy_keys: Mapping[str, bytes] | None = None,
        legacy_until: int = 0,
    ) -> None:
        self._envelope = Envelope(_KIND, _BODY.size, keys, current_key_id)
        self._legacy = Envelope(_LEGACY_KIND, _BODY.size, legacy_keys, current_key_id) if legacy_keys else None
        self._legacy_until = legacy_until

    def encode(self, token: RefreshToken) -> str:
        """The text for the client: opaque, 238 characters of base64url.

        Raises:
            ValueError: The token has no such form: a handle of another kind, a generation beyond 2**63 - 1.
        """
        handle = raw_handle(token.handle)
        if not 0 <= token.generation <= MAX_GENERATION:
            raise ValueError("the generation is out of range")
        if any(len(part) != 32 for part in (token.secret, token.parent_hash, token.grandparent_hash) if part):
            raise ValueError("secret and hashes are 32 bytes long")
        known = (
            (_HAS_PARENT if token.parent_hash else 0)
            | (_HAS_PARENT_TIME if token.parent_issued_at is not None else 0)
            | (_HAS_GRANDPARENT if token.grandparent_hash else 0)
        )
        try:
            body = _BODY.pack(
                handle,
                known,
                token.generation,
                token.issued_at,
                token.secret,
                token.parent_hash or _NO_HASH,
                token.parent_issued_at or 0,
                token.grandparent_hash or _NO_HASH,
            )
        except struct.error as error:
            raise ValueError("a time of the token is out of range") from error
        return self._envelope.wrap(body)

    def decode(self, text: object) -> RefreshToken | None:
        """The token behind a text; None for anything that `encode` has not written, of any type or length."""
        body, legacy = self._envelope.unwrap(text), False
        if body is None and self._legacy is not None:
            body, legacy = self._legacy.unwrap(text), True
        if body is None:
            return None
        handle, known, generation, issued_at, secret, parent, parent_issued_at, grandparent = _BODY.unpack(body)
        if legacy and issued_at >= self._legacy_until:
            return None
        return RefreshToken(
            handle_of(handle),
            generation,
            secret,
            issued_at,
            parent_hash=parent if known & _HAS_PARENT else None,
            parent_issued_at=parent_issued_at if known & _HAS_PARENT_TIME else None,
            grandparent_hash=grandparent if known & _HAS_GRANDPARENT else None,
        )

    def looks_encoded(self, text: object) -> bool:
        """Whether the text has the form of a refresh token; what has not costs no look at its MAC.

        An older version's form counts too while those may be good: what `decode` reads always looks encoded.
        """
        return self._envelope.looks_wrapped(text) or (self._legacy is not None and self._legacy.looks_wrapped(text))

    def unknown_key(self, text: object) -> bool:
        """Whether this looks like a refresh token of a key that another worker may have made meanwhile."""
        return self._envelope.unknown_key(text) or (self._legacy is not None and self._legacy.unknown_key(text))
