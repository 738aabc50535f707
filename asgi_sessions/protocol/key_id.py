"""Names of keys: 16 lower-case hex digits. Tokens carry them, so that one of several keys can be told at once."""

import re
import secrets
from typing import Any, Final, TypeGuard

__all__ = ["PATTERN", "checked_key_id", "is_key_id", "new_key_id"]

PATTERN: Final = "[0-9a-f]{16}"
"""The form, as a regular expression."""

_KEY_ID = re.compile(PATTERN)


def new_key_id() -> str:
    """A name for a new key: random."""
    return secrets.token_hex(8)


def is_key_id(text: Any) -> TypeGuard[str]:
    """Whether this could be one of our key ids."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None


def checked_key_id(text: str) -> str:
    """The key id itself.

    Raises:
        ValueError: It is none.
    """
    if not is_key_id(text):
        raise ValueError("a key id is 16 lower-case hex digits")
    return text
