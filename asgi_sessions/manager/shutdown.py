"""The start of the server's stop. Every open connection is told once, also one that opens afterwards."""

from collections.abc import Callable


class Shutdown:
    """Whether the server has begun to stop. One event loop's."""

    __slots__ = ("_begun", "_waiting")

    def __init__(self) -> None:
        self._begun = False
        self._waiting: dict[Callable[[], None], None] = {}

    def add(self, stopping: Callable[[], None]) -> None:
        """Have `stopping` called once when the server begins to stop, now where it has; it must not block."""
        if self._begun:
            stopping()
        else:
            self._waiting[stopping] = None

    def remove(self, stopping: Callable[[], None]) -> None:
        """Wait no longer; nothing where nobody waits."""
        self._waiting.pop(stopping, None)

    def begin(self) -> None:
        """Call everything that waits now, and everything that begins to wait later."""
        self._begun = True
        while self._waiting:
            stopping, _ = self._waiting.popitem()
            stopping()
