"""The memory of verified access tokens: what a worker has checked once it need not check again."""

from asgi_sessions.protocol.access_token import AccessToken

TOKEN_BYTES = 1_000
"""What an entry takes beside its texts, about: the token's values, and the memory's own."""


class VerifiedTokens:
    """By their text, bounded in bytes. Whoever asks compares the expiry, and looks for a revocation, each time.

    Only what has been verified is ever added. Half of the space is the newest tokens; when it is full they become the
    older half, and what was the older half is forgotten unless it was used meanwhile.

    Args:
        max_bytes: For texts and values together; 0 remembers nothing.
    """

    __slots__ = ("_half", "_old", "_size", "_young")

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._young: dict[str, AccessToken] = {}
        self._old: dict[str, AccessToken] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old.keys() - self._young.keys())

    def get(self, text: str) -> AccessToken | None:
        """The token that this text was verified to be, None if it was not, or so long ago that it is forgotten."""
        found = self._young.get(text)
        if found is None:
            found = self._old.get(text)
            if found is not None:
                self.add(text, found)
        return found

    def add(self, text: str, token: AccessToken) -> None:
        """Remember a verified token."""
        size = len(text) + len(token.payload_json) + TOKEN_BYTES
        if size > self._half:
            return
        if self._size + size > self._half:
            self._young, self._old, self._size = {}, self._young, 0
        self._young[text] = token
        self._size += size

    def clear(self) -> None:
        """Forget everything: the keys have changed."""
        self._young, self._old, self._size = {}, {}, 0
