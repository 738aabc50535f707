"""The sessions that this worker has ended itself and that no poll has read yet."""

from collections.abc import Iterable

__all__ = ["OwnRevocations"]


class OwnRevocations:
    """Ended sessions by their handle, and users some of whose sessions have ended; the worker does not know which.

    The users may be everybody.
    """

    def __init__(self) -> None:
        self._handles: set[str] = set()
        self._users: dict[bytes, int] = {}  # the first poll that finds all of the user's tombstones
        self._everybody: int | None = None  # likewise

    def add(self, handle: str) -> None:
        """Note a session that was ended here, or whose payload was changed."""
        self._handles.add(handle)

    def add_user(self, owner: bytes, *, found_by: int) -> None:
        """Note a user of whose sessions some were ended here.

        Args:
            owner: The stored form of the user's id.
            found_by: The number of the next poll to begin.
        """
        self._users[owner] = found_by

    def add_everybody(self, *, found_by: int) -> None:
        """Note that some sessions of any users were ended here; see `add_user`."""
        self._everybody = found_by

    @property
    def has_users(self) -> bool:
        """Whether there is a user whose tombstones no poll has read yet."""
        return bool(self._users) or self._everybody is not None

    def has_user(self, owner: bytes) -> bool:
        """Whether this user's tombstones were read by no poll yet."""
        return self._everybody is not None or owner in self._users

    def has_any_of(self, handles: Iterable[str]) -> bool:
        """Whether one of these was ended here."""
        return not self._handles.isdisjoint(handles)

    def so_far(self) -> frozenset[str]:
        """The sessions that a poll which begins now will find; see `forget`."""
        return frozenset(self._handles)

    def forget(self, handles: frozenset[str]) -> None:
        """A poll has found these."""
        self._handles -= handles

    def forget_users(self, poll: int) -> None:
        """The poll of this number has found all tombstones of the users noted before it began."""
        self._users = {owner: found_by for owner, found_by in self._users.items() if found_by > poll}
        if self._everybody is not None and self._everybody <= poll:
            self._everybody = None
