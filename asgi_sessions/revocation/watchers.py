"""Whoever waits for a session's end: open sockets, streams, `Session.wait_until_ended()`."""

import logging
from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)

Ended = Callable[[], None]
"""Called once, on the event loop, and must not block."""


class Watchers:
    """By session handle. One event loop's."""

    __slots__ = ("_by_handle", "_owners")

    def __init__(self) -> None:
        self._by_handle: dict[str, dict[Ended, None]] = {}
        self._owners: dict[str, bytes] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_handle.values()))

    def add(self, handle: str, ended: Ended, *, owner: bytes = b"") -> None:
        """Have `ended` called when the session is known to be over.

        Args:
            handle: The session's.
            ended: See `Ended`.
            owner: The stored form of its user's id; empty where nobody will ask for it.
        """
        self._by_handle.setdefault(handle, {})[ended] = None
        self._owners[handle] = owner

    def handles(self) -> list[str]:
        """Whose end somebody waits for."""
        return list(self._by_handle)

    def handles_of(self, owner: bytes) -> list[str]:
        """Which of a user's sessions somebody waits for."""
        return [handle for handle, whose in self._owners.items() if whose == owner]

    def remove(self, handle: str, ended: Ended) -> None:
        """Undo one `add`; nothing where it has been called already."""
        waiting = self._by_handle.get(handle)
        if waiting is not None:
            waiting.pop(ended, None)
            if not waiting:
                del self._by_handle[handle], self._owners[handle]

    def tell(self, handles: Iterable[str]) -> None:
        """These sessions are over."""
        if self._by_handle:
            for handle in handles:
                self._owners.pop(handle, None)
                for ended in self._by_handle.pop(handle, ()):
                    try:
                        ended()
                    except Exception:
                        _log.exception("Somebody who waited for a session's end stumbled over it.")
