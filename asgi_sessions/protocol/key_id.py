"""Names of keys: 16 lower-case hex digits. Tokens carry them, so that one of several keys can be told at once."""

import hashlib
import re
import secrets
from typing import Any, Final, TypeGuard

__all__ = ["KEY_ID_BYTES", "PATTERN", "checked_key_id", "is_key_id", "key_id_of", "new_key_id"]

KEY_ID_BYTES: Final = 8
PATTERN: Final = f"[0-9a-f]{{{2 * KEY_ID_BYTES}}}"
"""The form, as a regular expression."""

_KEY_ID = re.compile(PATTERN)


def new_key_id() -> str:
    """A name for a new key: random."""
    return secrets.token_hex(KEY_ID_BYTES)


def key_id_of(secret: bytes) -> str:
    """The name of an application's own key: the same wherever it is given."""
    return hashlib.sha256(b"asgi_sessions key id" + secret).hexdigest()[: 2 * KEY_ID_BYTES]


def is_key_id(text: Any) -> TypeGuard[str]:
    """Whether this could be one of our key ids."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None


def checked_key_id(text: str) -> str:
    """The key id itself.

    Raises:
        ValueError: It is none.
    """
    if not is_key_id(text):
        raise ValueError(f"a key id is {2 * KEY_ID_BYTES} lower-case hex digits")
    return text
