"""Key ids: the public names of signing keys, 64 bits in hexadecimal."""

import hashlib
import re
import secrets
from typing import Final

__all__ = ["KEY_ID_BYTES", "KEY_ID_PATTERN", "WRONG_KEY_ID", "is_key_id", "key_id_of", "new_key_id"]

KEY_ID_BYTES: Final = 8
KEY_ID_PATTERN: Final = f"[0-9a-f]{{{2 * KEY_ID_BYTES}}}"
WRONG_KEY_ID: Final = f"a key id is {2 * KEY_ID_BYTES} lower-case hex digits"

_KEY_ID = re.compile(KEY_ID_PATTERN)


def new_key_id() -> str:
    """A name for a new key: random."""
    return secrets.token_hex(KEY_ID_BYTES)


def key_id_of(secret: bytes) -> str:
    """The name of an application's own key: the same wherever it is given."""
    return hashlib.sha256(b"asgi_sessions key id" + secret).hexdigest()[: 2 * KEY_ID_BYTES]


def is_key_id(text: object) -> bool:
    """Whether this could be one of our key ids."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None
