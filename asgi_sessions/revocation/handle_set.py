"""Handles of sessions, in little memory."""

HANDLE_BYTES = 36
"""What one takes, beside the text that holds it."""
TEXT_BYTES = 208
"""What each text takes, with its place."""


class HandleSet:
    """A bounded set of session handles that forgets by halves: what was there before the last but one `age` is gone.

    A million handles take about 60 MB, where a set of strings takes 150. They lie together in texts, one for each
    beginning of four digits: about fifteen of a million. Handles are random, so that no text holds one across the
    border between two others.

    Args:
        max_bytes: For all of them.

    Attributes:
        overflowing: Whether there were more than that, so that a handle that is not here may yet belong here.
    """

    __slots__ = ("_bytes", "_count", "_max_bytes", "_missed", "_old", "_young", "overflowing")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.overflowing = False
        self._missed = [False, False]
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._count = [0, 0]
        self._bytes = [0, 0]

    def holds(self, handle: str) -> bool:
        """Whether a handle is here. As ``in``, but cheaper: every request asks."""
        start, young, old = handle[:4], self._young, self._old
        return (start in young and handle in young[start]) or (start in old and handle in old[start])

    def __contains__(self, handle: str) -> bool:
        return self.holds(handle)

    def __len__(self) -> int:
        return sum(self._count)

    def add(self, handle: str, *, again: bool = False, beside: int = 0) -> bool:
        """Remember a handle, 32 hex digits.

        Args:
            handle: Which one.
            again: Remember it for as long as a new one, also where it is here.
            beside: What the caller remembers of it, bytes.

        Returns:
            Whether it is new; so is each for which there is no room.
        """
        start = handle[:4]
        known = handle in self._young.get(start, "") if again else self.holds(handle)
        if known:
            return False
        size = beside + (HANDLE_BYTES if start in self._young else HANDLE_BYTES + TEXT_BYTES)
        if sum(self._bytes) + size > self._max_bytes:
            self._missed[0] = self.overflowing = True
            return True
        self._young[start] = self._young.get(start, "") + handle
        self._bytes[0] += size
        self._count[0] += 1
        return True

    def age(self) -> None:
        """Forget what was there before the last time."""
        self._young, self._old = {}, self._young
        self._count = [0, self._count[0]]
        self._bytes = [0, self._bytes[0]]
        self._missed = [False, self._missed[0]]
        self.overflowing = any(self._missed)
