"""The handles of revoked sessions, in little memory."""


class RevokedHandles:
    """A set of session handles that forgets by halves: what was there before the last but one `age` is gone.

    A million handles take about 60 MB, where a set of strings takes 150. They lie together in texts, one for each
    beginning of four digits: about fifteen of a million. Handles are random, so that no text holds one across the
    border between two others.
    """

    __slots__ = ("_count", "_old", "_young")

    def __init__(self) -> None:
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._count = [0, 0]

    def __contains__(self, handle: str) -> bool:
        start = handle[:4]
        return (start in self._young and handle in self._young[start]) or (
            start in self._old and handle in self._old[start]
        )

    def __len__(self) -> int:
        return sum(self._count)

    def add(self, handle: str) -> bool:
        """Remember a handle, 32 hex digits.

        Returns:
            Whether it is new.
        """
        if handle in self:
            return False
        start = handle[:4]
        self._young[start] = self._young.get(start, "") + handle
        self._count[0] += 1
        return True

    def age(self) -> None:
        """Forget what was there before the last time."""
        self._young, self._old = {}, self._young
        self._count = [0, self._count[0]]
