"""What a worker knows of sessions beyond their tokens: which have ended, and which have got another payload.

===========  =================================  ============================================================
state        noted here as                      an access token of the session
===========  =================================  ============================================================
unremarked   nothing                            is good
changed      a handle with a version            is good if its payload is of that version or a later one;
                                                any other has the row looked at, for the payload there
revoked      a handle without a version         is not good
===========  =================================  ============================================================

An end is final: no change is noted after it, and it takes the place of one. All handles lie in one set, so that a
request finds with one look that there is nothing about its session.
"""

from asgi_sessions.revocation.handle_set import HandleSet

__all__ = ["CHANGE_BYTES", "NotedSessions"]

CHANGE_BYTES = 200
"""What a version takes, with the text of its handle."""


class NotedSessions:
    """One event loop's, bounded. Forgets by halves, as its handles do.

    Args:
        max_bytes: For all of it.

    Attributes:
        handles: Of the sessions of which anything is noted. Where it overflows any other may be changed or revoked.
    """

    def __init__(self, max_bytes: int) -> None:
        self.handles = HandleSet(max_bytes)
        # Each handle with a version is in the same half of `handles` as well, or had no room there.
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def is_revoked(self, handle: str) -> bool:
        """Whether a session is known to have ended."""
        return self.handles.holds(handle) and handle not in self._young and handle not in self._old

    def payload_version(self, handle: str) -> int:
        """A version that a session's payload has at least; 0 where nothing is known of a change."""
        return max(self._young.get(handle, 0), self._old.get(handle, 0))

    def revoked(self, handle: str) -> bool:
        """Note that a session has ended; returns whether that is news."""
        if handle not in self._young and handle not in self._old:
            return self.handles.add(handle)
        for half in (self._young, self._old):
            half.pop(handle, None)
        self.handles.add(handle, again=True)
        return True

    def payload_changed(self, handle: str, version: int) -> bool:
        """Note that a session's payload is of a version, or a later one; returns whether that is news."""
        if self.is_revoked(handle) or version <= self.payload_version(handle):
            return False
        self.handles.add(handle, again=True, beside=CHANGE_BYTES)
        if self.handles.holds(handle):  # else there is no room, and requests ask the database in any case
            self._young[handle] = version
        return True

    def age(self) -> None:
        """Forget what was there before the last time."""
        self.handles.age()
        self._young, self._old = {}, self._young
