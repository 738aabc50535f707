"""Keys at rest: a copy of the database without ``secret_key`` forges nothing.

AES-256-GCM under a key of the table's own, with the key's id, algorithm and purpose as associated data: a sealed key
that is moved to another row or table does not open. Source: NIST SP 800-38D; OWASP ASVS 5.0, 13.3.
"""

import secrets as random
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from asgi_sessions.errors import GeneralError

__all__ = ["Sealer", "SealBroken", "derive"]

_NONCE_SIZE = 12
_TAG_SIZE = 16


class SealBroken(GeneralError):
    """A stored key does not open: changed, moved, never sealed, or sealed with a secret we do not have."""

    code = "seal_broken"


def derive(root: bytes, purpose: str, length: int = 32, *, owner: str | None = None) -> bytes:
    """A key of its own for each purpose, so that what serves one opens no other.

    Source: RFC 5869 (HKDF), with SHA-256.

    Args:
        root: High-entropy secret.
        purpose: What the key is for: ``access-token``, ``refresh-token``, ``retry-marker``, ``seal``.
        length: Bytes to derive.
        owner: Whose key it is, where several share the root: of tokens the audience, of seals the table prefix.

    Raises:
        ValueError: The root is empty.
    """
    if not root:
        raise ValueError("there is no secret to derive a key from")
    # No purpose has a slash, so no two pairs of purpose and owner make the same text.
    info = f"asgi_sessions/1/{purpose}" if owner is None else f"asgi_sessions/2/{purpose}/{owner}"
    return HKDF(SHA256(), length, salt=None, info=info.encode("ascii")).derive(root)


class Sealer:
    """Seals signing keys for the database and opens them again.

    Args:
        secrets: ``secret_key``, newest first. The newest one seals, each of them opens.
        table_prefix: Of the table that the seals are for; None for the seals of version 0.1, which were for any.

    Raises:
        ValueError: There is no secret, or an empty one.
    """

    __slots__ = ("_ciphers", "current_seal_id")

    def __init__(self, secrets: Sequence[bytes], table_prefix: str | None) -> None:
        if not secrets:
            raise ValueError("sealing needs at least one secret")
        # The id is derived like a key, so it tells no more about the secret than what was sealed with it.
        self._ciphers = {
            derive(secret, "seal-id", 8, owner=table_prefix).hex(): AESGCM(derive(secret, "seal", owner=table_prefix))
            for secret in reversed(secrets)
        }
        self.current_seal_id = derive(secrets[0], "seal-id", 8, owner=table_prefix).hex()
        """Which secret seals: a row with another id should be sealed anew."""

    def knows(self, seal_id: str | None) -> bool:
        """Whether one of the secrets made seals of this id, for this table."""
        return seal_id in self._ciphers

    def seal(self, material: bytes, key_id: str, algorithm: str, purpose: str) -> tuple[bytes, str]:
        """Encrypt a key for its row.

        Returns:
            What to store, and the id of the secret that sealed it.
        """
        nonce = random.token_bytes(_NONCE_SIZE)
        bound = _bound(key_id, algorithm, purpose)
        return nonce + self._ciphers[self.current_seal_id].encrypt(nonce, material, bound), self.current_seal_id

    def open(self, sealed: bytes, seal_id: str | None, key_id: str, algorithm: str, purpose: str) -> bytes:
        """Decrypt a key of a row.

        Raises:
            SealBroken: The row was changed, belongs to another key, was never sealed, or by another secret.
        """
        cipher = self._ciphers.get(seal_id) if seal_id is not None else None
        if cipher is None or len(sealed) < _NONCE_SIZE + _TAG_SIZE:
            raise SealBroken
        try:
            return cipher.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], _bound(key_id, algorithm, purpose))
        except InvalidTag:
            raise SealBroken from None


def _bound(key_id: str, algorithm: str, purpose: str) -> bytes:
    # With lengths, since joined texts alone could be cut in another place.
    return b"".join(len(part).to_bytes(2, "big") + part for part in map(str.encode, (key_id, algorithm, purpose)))
