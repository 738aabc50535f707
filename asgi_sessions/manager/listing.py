"""The live sessions of a user: a page of devices, or their handles alone."""

from asgi_sessions.manager.records import SessionRecord, read_cursor
from asgi_sessions.protocol import authentication_methods, user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.repository import PAGE, ListedSession, SessionRepository, SessionRow

MAX_PAGE = 1000
"""Sessions that one call lists."""


class SessionLists:
    """Lists sessions.

    Args:
        sessions: The store of sessions.
        clock: The time, ms.
    """

    def __init__(self, sessions: SessionRepository, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    async def list_of(
        self, owner: user_id.UserId, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord]:
        """A page of a user's live sessions, newest first; see `SessionManager.list_sessions_for_user`."""
        position = page_of(limit, after)
        stored = user_id.storable(owner)
        if stored is None:
            return []
        rows = await self._sessions.list_of(stored, now=self._clock(), limit=limit, after=position)
        return [record_of(row, user_id.decode(row.user_id)) for row in rows]

    async def handles_of(self, owner: user_id.UserId) -> list[str]:
        """The handles of a user's live sessions, newest first."""
        stored = user_id.storable(owner)
        return [] if stored is None else await self._sessions.handles_of(stored, now=self._clock())

    async def namesakes_of(self, owner: user_id.UserId) -> list[tuple[user_id.UserId, int]]:
        """Users of the same text and another type who have live sessions, and how many: is one of them meant?"""
        if user_id.storable(owner) is None:
            return []
        counts = [(other, len(await self.handles_of(other))) for other in user_id.namesakes(owner)]
        return [(other, count) for other, count in counts if count]


def page_of(limit: int, after: str | None) -> tuple[int, str] | None:
    """Where a page begins: behind this time of creation, ms, and handle; None for the first one.

    Raises:
        ValueError: The limit is out of range, or `after` is no cursor.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit: must be a whole number from 1 to {MAX_PAGE}")
    return None if after is None else read_cursor(after)


def record_of(row: SessionRow | ListedSession, owner: user_id.UserId) -> SessionRecord:
    """What an application is told of one of a user's sessions."""
    return SessionRecord(
        session_handle=row.handle,
        user_id=owner,
        created_at=from_ms(row.created_at),
        last_active_at=from_ms(row.last_active_at),
        expires_at=from_ms(row.idle_expires_at),
        device_label=row.device_label,
        ip_address=row.ip_address,
        authentication_methods={name: from_ms(time) for name, time in authentication_methods.read(row.methods)},
        actor=None if row.actor is None else user_id.decode(row.actor),
    )
