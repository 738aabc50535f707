"""The listeners that are called when a session has ended: for open sockets, streams, `Session.wait_until_ended()`."""

import logging
from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)

Listener = Callable[[], None]
"""Called once, on the event loop, and must not block."""


class TerminationListeners:
    """The listeners of one event loop, by session handle."""

    __slots__ = ("_by_handle", "_owners")

    def __init__(self) -> None:
        self._by_handle: dict[str, dict[Listener, None]] = {}
        self._owners: dict[str, bytes] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_handle.values()))

    def add(self, handle: str, listener: Listener, *, owner: bytes = b"") -> None:
        """Have `listener` called when the session is known to have ended.

        Args:
            handle: The session's.
            listener: See `Listener`.
            owner: The stored form of its user's id; empty where nobody will ask for it.
        """
        self._by_handle.setdefault(handle, {})[listener] = None
        self._owners[handle] = owner

    def handles(self) -> list[str]:
        """The sessions that have a listener."""
        return list(self._by_handle)

    def handles_of(self, owner: bytes) -> list[str]:
        """A user's sessions that have a listener."""
        return [handle for handle, whose in self._owners.items() if whose == owner]

    def remove(self, handle: str, listener: Listener) -> None:
        """Undo one `add`; nothing where it has been called already."""
        waiting = self._by_handle.get(handle)
        if waiting is not None:
            waiting.pop(listener, None)
            if not waiting:
                del self._by_handle[handle], self._owners[handle]

    def notify(self, handles: Iterable[str]) -> None:
        """Call the listeners of these sessions, which have ended, and forget them."""
        if self._by_handle:
            for handle in handles:
                self._owners.pop(handle, None)
                for listener in self._by_handle.pop(handle, ()):
                    try:
                        listener()
                    except Exception:
                        _log.exception("Somebody who waited for a session's end stumbled over it.")
