"""The retry marker: proof that this client was told once already that its refresh token came too late.

If it sends the same token again, that is theft and no accident.
"""

import struct
from collections.abc import Mapping
from typing import cast

from asgi_sessions.protocol.envelope import Envelope
from asgi_sessions.protocol.session_handle import handle_of, raw_handle

__all__ = ["RetryMarkerCodec", "marker_lifetime"]

_KIND, _LEGACY_KIND = 4, 2
# handle, generation, expires_at
_BODY = struct.Struct(">16sqq")
LEAST_APART_MS = 30_000
"""Clocks of workers that are kept synchronised."""


def marker_lifetime(late_parent_window: int, clock_difference: int) -> int:
    """How long a marker lives, ms: until no worker's clock can call its token late any more.

    Args:
        late_parent_window: ms.
        clock_difference: How far a worker's clock and the database's may be apart, ms.
    """
    return late_parent_window + max(LEAST_APART_MS, clock_difference)


class RetryMarkerCodec:
    """Writes retry markers and recognises them.

    Args:
        keys: The 32-byte keys by their ids (16 lower-case hex digits); not those of the refresh tokens.
        current_key_id: The key to write with.
        legacy_keys: Those of an older version's markers, by the same ids.
        legacy_until: An older version's marker is good if it ends before this time, ms.

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

    def encode(self, handle: str, generation: int, expires_at: int) -> str:
        """The marker for one refresh token.

        Args:
            handle: The session's, 32 lower-case hex digits.
            generation: The token's.
            expires_at: When the marker ends, ms.

        Raises:
            ValueError: The handle or a number cannot be written.
        """
        raw = raw_handle(handle)
        try:
            return self._envelope.wrap(_BODY.pack(raw, generation, expires_at))
        except struct.error as error:
            raise ValueError("the generation or the time is out of range") from error

    def matches(self, text: object, handle: str, generation: int, now: int) -> bool:
        """Whether this is an authentic, unexpired marker of this very token. False for anything else.

        Args:
            text: What the client sent.
            handle: The session's.
            generation: The presented token's.
            now: The time, ms.
        """
        body, legacy = self._envelope.unwrap(text), False
        if body is None and self._legacy is not None:
            body, legacy = self._legacy.unwrap(text), True
        if body is None:
            return False
        raw, marked_generation, expires_at = cast(tuple[bytes, int, int], _BODY.unpack(body))
        if legacy and expires_at >= self._legacy_until:
            return False
        return handle_of(raw) == handle and marked_generation == generation and now <= expires_at
