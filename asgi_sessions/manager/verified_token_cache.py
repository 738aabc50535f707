"""The cache of verified access tokens: what a worker has verified once it need not verify again."""

from collections.abc import Callable

from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock

TOKEN_BYTES = 1_300
"""What an entry takes beside its texts, about: the token's values, and the memory's own."""


class VerifiedTokenCache(dict[bytes, AccessToken | None]):
    """The cache of verified tokens, by their text, bounded in bytes. Callers check expiry and revocation each time.

    ``tokens[text]`` is what the text says, from here or from ``verify``. Only what was verified is ever remembered.

    Half of the space is for the newest tokens, which are the dictionary's own. When it is full, or a token's lifetime
    has passed, the next new token makes them the older half, and what was the older half is forgotten unless it was
    used meanwhile. So tokens that have expired are let go.

    Args:
        max_bytes: For texts and values together; 0 remembers nothing.
        lifetime: Of a token, ms.
        clock: The time.
        verify: Told of each text that is not held here. May `remember` it, and returns what it says.
    """

    __slots__ = ("_clock", "_half", "_lifetime", "_old", "_size", "_turns_at", "_verify")

    def __init__(
        self, max_bytes: int, lifetime: int, clock: Clock, verify: Callable[[bytes], AccessToken | None]
    ) -> None:
        super().__init__()
        self._half = max_bytes // 2
        self._lifetime = lifetime
        self._clock = clock
        self._verify = verify
        self._old: dict[bytes, AccessToken | None] = {}
        self._size = 0
        self._turns_at = clock() + lifetime

    def __missing__(self, text: bytes) -> AccessToken | None:
        found = self._old.get(text)
        if found is None:
            return self._verify(text)
        self.remember(text, found, self._clock())
        return found

    def remember(self, text: bytes, token: AccessToken, now: int) -> None:
        """Add a verified token at a time, ms."""
        size = len(text) + len(token.payload_json) + TOKEN_BYTES
        if size > self._half:
            return
        if self._size + size > self._half or now >= self._turns_at:
            self._old = dict(self)
            self.clear()
            self._size = 0
            self._turns_at = now + self._lifetime
        self[text] = token
        self._size += size

    def forget(self) -> None:
        """Forget everything: the keys, or the clock, have changed."""
        self.clear()
        self._old = {}
        self._size = 0
