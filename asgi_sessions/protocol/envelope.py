"""Opaque texts that only this application can have written: fixed-size bytes under a MAC, in base64url.

The refresh token and the retry marker are both envelopes; their keys and kinds differ, so neither passes for
the other.
"""

import base64
import hmac
from collections.abc import Mapping

from asgi_sessions.protocol.key_id import KEY_ID_BYTES, WRONG_KEY_ID, is_key_id

__all__ = ["Envelope", "has_form"]

_KEY_SIZE = 32
_HEAD_SIZE = 1 + KEY_ID_BYTES
_MAC_SIZE = 32


class Envelope:
    """Wraps bodies of one size for one purpose.

    The layout is kind, key id, body, HMAC-SHA256 over all of these.

    Args:
        kind: Tells purposes and their versions apart, 0 to 255.
        body_size: How long every body is, bytes.
        keys: The 32-byte keys by their ids (16 lower-case hex digits).
        current_key_id: The key to wrap with.

    Raises:
        ValueError: A key has the wrong size, an id the wrong form, or the current key is missing.
    """

    __slots__ = ("_body_size", "_current", "_head", "_keys", "_kind", "_text_size")

    def __init__(self, kind: int, body_size: int, keys: Mapping[str, bytes], current_key_id: str) -> None:
        for key_id, key in keys.items():
            if not is_key_id(key_id):
                raise ValueError(WRONG_KEY_ID)
            if len(key) != _KEY_SIZE:
                raise ValueError(f"the key {key_id} is not {_KEY_SIZE} bytes long")
        if current_key_id not in keys:
            raise ValueError("the current key is not among the keys")
        self._keys = {bytes.fromhex(key_id): key for key_id, key in keys.items()}
        self._kind = bytes([kind])
        self._head = self._kind + bytes.fromhex(current_key_id)
        self._current = keys[current_key_id]
        self._body_size = body_size
        self._text_size = _text_size(body_size)

    def wrap(self, body: bytes) -> str:
        """The text that carries this body."""
        if len(body) != self._body_size:
            raise ValueError("the body has the wrong size")
        signed = self._head + body
        return _encode(signed + hmac.digest(self._current, signed, "sha256"))

    def unwrap(self, text: object) -> bytes | None:
        """The body that this text carries; None for what `wrap` has not written, of any type or length."""
        raw = self._raw(text)
        if raw is None:
            return None
        key = self._keys.get(raw[1:_HEAD_SIZE])
        if key is None:
            return None
        signed, mac = raw[:-_MAC_SIZE], raw[-_MAC_SIZE:]
        if not hmac.compare_digest(hmac.digest(key, signed, "sha256"), mac):
            return None
        return signed[_HEAD_SIZE:]

    def looks_wrapped(self, text: object) -> bool:
        """Whether the text has the form of an envelope of this kind, whoever wrote it."""
        return self._raw(text) is not None

    def unknown_key(self, text: object) -> bool:
        """Whether this looks like an envelope of a key that is not among these."""
        raw = self._raw(text)
        return raw is not None and raw[1:_HEAD_SIZE] not in self._keys

    def _raw(self, text: object) -> bytes | None:
        return _raw(text, self._kind, self._text_size)


def has_form(text: object, kind: int, body_size: int) -> bool:
    """Whether a text has the form of an envelope of a kind, whoever wrote it; see `Envelope`."""
    return _raw(text, bytes([kind]), _text_size(body_size)) is not None


def _text_size(body_size: int) -> int:
    return -(-(_HEAD_SIZE + body_size + _MAC_SIZE) * 4 // 3)


def _raw(text: object, kind: bytes, size: int) -> bytes | None:
    # The length first: whatever somebody sends, the work stays the same.
    if not isinstance(text, str) or len(text) != size:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # The decoder skips characters that it does not know; one token must not have many spellings.
    return raw if _encode(raw) == text and raw[:1] == kind else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
