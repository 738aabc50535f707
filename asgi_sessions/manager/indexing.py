"""Sessions by what they belong to: an organisation, a session of an identity provider. See ``store.index_rows``."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.listing import page_of, record_of
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.revoking import Revoker, require_handle
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.session_index import ENDS_REMEMBERED, Entry, changed, entry
from asgi_sessions.store.index_rows import TOP, SessionIndexStore
from asgi_sessions.store.marks import MarkStore
from asgi_sessions.store.repository import PAGE, REVOKE_BATCH, SessionRow

REMEMBERED_MS = 600_000
"""A login whose logout has overtaken it comes within this time."""
LOGOUT_INDEX = "logout_index"
"""The reason in the tombstones of sessions that were found by an indexed attribute."""


class SessionIndex:
    """Keeps by what sessions are found, lists them by it, and ends them by it.

    Args:
        index: The store of entries.
        marks: What is remembered for a while.
        liveness: Says whether a session is live.
        revoker: Ends sessions.
        clock: The time, ms.
    """

    def __init__(
        self,
        index: SessionIndexStore,
        marks: MarkStore,
        liveness: LivenessCheck,
        revoker: Revoker,
        clock: Clock,
    ) -> None:
        self._index = index
        self._marks = marks
        self._liveness = liveness
        self._revoker = revoker
        self._clock = clock

    async def begin(self, session_handle: str, created_at: int, login: Sequence[Entry]) -> None:
        """Write by what a session is to be found, before the session itself."""
        await self._index.insert(session_handle, created_at, login)

    async def require_not_ended(self, row: SessionRow, login: Sequence[Entry]) -> None:
        """Raise where a new session, which is stored already, belongs to what has ended elsewhere meanwhile.

        Raises:
            Unauthorised: It does. The session has ended.
        """
        marks = [each for each in login if each[0] in ENDS_REMEMBERED]
        if marks and await self.is_marked(marks):
            await self._revoker.revoke(row.handle, reason=LOGOUT_INDEX)
            raise Unauthorised

    async def end_elsewhere(self, name: str, value: str, *, stored: Callable[[], object]) -> int:
        """End all sessions of a name and value, as somebody else has said; returns how many.

        Args:
            name: If it is one of `ENDS_REMEMBERED`, sessions that come later are refused for `REMEMBERED_MS`.
            value: The value.
            stored: Called as soon as that is remembered.
        """
        if name in ENDS_REMEMBERED:
            await self.mark(entry(name, value), self._clock() + REMEMBERED_MS)
            stored()
        return await self.revoke(name, value)

    async def mark(self, mark: Entry, until: int) -> None:
        """Remember something until then, ms."""
        await self._marks.write(mark, until)

    async def is_marked(self, marks: Sequence[Entry]) -> bool:
        """Whether one of these is remembered."""
        return await self._marks.has_any(marks, self._clock())

    async def update(self, session_handle: str, changes: Mapping[str, Any]) -> None:
        """Replace the values of some names of a live session; see `Session.update_index`.

        Raises:
            TypeError, ValueError: As `protocol.session_index.changed`; nothing has changed.
            Unauthorised: The session is gone.
        """
        changed((), changes)  # a mistake is one whatever becomes of the session
        if not is_handle(session_handle):
            raise await self._liveness.gone(session_handle)
        row = await self._liveness.live_row(session_handle, fresh=True)
        added, removed = changed(await self._index.entries_of(session_handle), changes)
        await self._index.add(row.handle, row.created_at, added)
        await self._index.remove(row.handle, row.created_at, removed)

    async def list_of(
        self, name: str, value: str, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord]:
        """A page of live sessions, newest first; see `SessionManager.list_sessions_by_index`."""
        position = page_of(limit, after)
        rows = await self._index.list_of(entry(name, value), self._clock(), limit=limit, after=position)
        return [record_of(row, user_id.decode(row.user_id)) for row in rows]

    async def revoke(
        self, name: str, value: str, *, begun_before: int | None = None, except_handle: str | None = None
    ) -> int:
        """End all live sessions of a name and value, part by part; see `SessionManager.revoke_sessions_by_index`."""
        require_handle(except_handle)
        pages = self._pages(entry(name, value), begun_before, except_handle)
        return await self._revoker.revoke_pages(pages, reason=LOGOUT_INDEX, index_name=name, index_value=value)

    async def _pages(
        self, found_by: Entry, begun_before: int | None, except_handle: str | None
    ) -> AsyncIterator[Sequence[str]]:
        after = TOP if begun_before is None else (begun_before, "")
        while True:
            now = self._revoker.ended_before()
            places = await self._index.places_of(found_by, now, limit=REVOKE_BATCH, after=after)
            if places:
                yield [handle for _, handle in places if handle != except_handle]
            if len(places) < REVOKE_BATCH:
                return
            after = places[-1]
