"""Session handles: public names of sessions, 128 random bits in hexadecimal."""

import re
import secrets
from typing import Any, Final, TypeGuard

HANDLE_DIGITS: Final = 32
_HANDLE = re.compile(rf"[0-9a-f]{{{HANDLE_DIGITS}}}\Z")


def new_handle() -> str:
    """A handle that no session has had before."""
    return secrets.token_hex(HANDLE_DIGITS // 2)


def is_handle(value: Any) -> TypeGuard[str]:
    """Whether `value` can be a handle at all; whatever cannot is not worth a statement."""
    return type(value) is str and _HANDLE.match(value) is not None
