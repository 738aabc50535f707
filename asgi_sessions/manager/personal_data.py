"""All that is kept about a user: exported for the user, and erased."""

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.protocol import authentication_methods, json_value, user_id
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.notifications import NotificationStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.session_row import ERASURE

MOST_ROUNDS: Final = 100
"""Of an erasure whose user goes on logging in: somebody who does so for that long does so afterwards too."""


class PersonalData:
    """Exports and erases.

    Args:
        sessions: The store of sessions.
        notifications: The store of ends that are told elsewhere.
        revoker: Ends sessions.
    """

    def __init__(self, sessions: SessionRepository, notifications: NotificationStore, revoker: Revoker) -> None:
        self._sessions = sessions
        self._notifications = notifications
        self._revoker = revoker

    def export(self, owner: user_id.UserId, *, acting: bool) -> AsyncIterator[dict[str, Any]]:
        """Give all of a user's sessions; see `SessionManager.export_user`.

        Raises:
            TypeError: The id has a type that no user id can have.
        """
        return self._export(user_id.storable(owner), acting)

    async def erase(self, owner: user_id.UserId) -> int:
        """End and erase all of a user's sessions; see `SessionManager.erase_user`.

        The sessions end first, so that nobody writes into what is erased: every change asks for a live session. A
        tombstone needs no user: it is found by its handle, and says that the session has ended.
        """
        stored = user_id.storable(owner)
        if stored is None:
            return 0
        count = 0
        for _ in range(MOST_ROUNDS):
            ended = await self._revoker.revoke_all(owner, reason=ERASURE)
            count += await self._sessions.erase_of(stored, self._revoker.ended_before())
            if not ended:  # nobody has logged in meanwhile
                break
        for _ in range(MOST_ROUNDS):
            acted = await self._erase_acting(owner, stored)
            count += acted
            if not acted:
                break
        await self._notifications.erase(stored)
        return count

    async def _export(self, owner: bytes | None, acting: bool) -> AsyncIterator[dict[str, Any]]:
        if owner is not None:
            async for row in self._sessions.export(owner, acting=acting):
                yield _as_json(row)
            for notification in await self._notifications.of_user(owner):
                yield {"notification": _as_json(notification._asdict())}

    async def _erase_acting(self, owner: user_id.UserId, stored: bytes) -> int:
        count = 0
        async for handles, _ in self._revoker.revoke_acting(owner, reason=ERASURE):
            count += await self._sessions.erase(stored, handles, self._revoker.ended_before())
        return count


def _time(milliseconds: int) -> str:
    return from_ms(milliseconds).isoformat()


def _user(stored: bytes) -> str | int:
    return user_id.plain(user_id.decode(stored))


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "user_id": _user,
        "actor": _user,
        "jwt_payload": json_value.loads,
        "session_info": json_value.loads,
        "methods": lambda text: {name: _time(moment) for name, moment in authentication_methods.read(text)},
        "persistent": bool,
        "index": lambda found: [{"name": name, "sha256": digest.hex()} for name, digest in found],
    }
)
_PUBLIC_NAMES: Mapping[str, str] = MappingProxyType({"handle": "session_handle", "methods": "authentication_methods"})
"""Of columns that are called otherwise in Python."""
_TIMES = ("_at", "_iat", "_time")
"""How the names of columns end that hold a time."""


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a person reads it: times in ISO 8601, other numbers as they are."""
    return {_PUBLIC_NAMES.get(name, name): _read(name, value) for name, value in row.items()}


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    reader = _READERS.get(name, _time if name.endswith(_TIMES) else None)
    return value if reader is None else reader(value)
