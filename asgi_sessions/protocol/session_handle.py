"""Session handles: public names of sessions, 128 random bits in hexadecimal."""

import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final, TypeGuard

__all__ = ["HANDLE_DIGITS", "HANDLE_PATTERN", "form_tag", "handle_of", "is_handle", "new_handle", "raw_handle"]

HANDLE_DIGITS: Final = 32
HANDLE_PATTERN: Final = f"[0-9a-f]{{{HANDLE_DIGITS}}}"

_TAG_LABEL = b"asgi-user-sessions form tag\0"
_HANDLE = re.compile(rf"{HANDLE_PATTERN}\Z")


def new_handle() -> str:
    """A handle that no session has had before."""
    return secrets.token_hex(HANDLE_DIGITS // 2)


def form_tag(handle: str) -> str:
    """The tag by which a page's forms name the session that they were made for: 16 letters, digits, ``-`` and ``_``.

    It is no secret and proves nothing: whoever may send the request at all is checked elsewhere. It is a hash so that
    pages, which are saved and printed, do not name the session itself.
    """
    return urlsafe_b64encode(sha256(_TAG_LABEL + handle.encode()).digest()[:12]).decode()


def is_handle(value: Any) -> TypeGuard[str]:
    """Whether `value` can be a handle at all; whatever cannot is not worth a statement."""
    return type(value) is str and _HANDLE.match(value) is not None


def raw_handle(handle: str) -> bytes:
    """The 16 bytes of a handle, for what is written in few bytes.

    Raises:
        ValueError: It is no handle.
    """
    if not is_handle(handle):
        raise ValueError(f"a session handle is {HANDLE_DIGITS} lower-case hex digits")
    return bytes.fromhex(handle)


def handle_of(raw: bytes) -> str:
    """The handle of these 16 bytes."""
    return raw.hex()
