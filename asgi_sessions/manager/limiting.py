"""How many sessions a user may have: ``max_sessions_per_user``.

A limit that was set is kept by the time a login returns. The default of a new installation only keeps accounts from
growing without end: once a worker has seen some logins of a user it looks, beside the requests, how many sessions there
are, and near the limit at each further login. A login is one statement until then.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from asgi_sessions.errors import SessionLimitReached, StoreUnavailable
from asgi_sessions.manager.beside import Beside
from asgi_sessions.manager.installation import Installation
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import SessionRepository, SessionRow

LEAVING_SECONDS = 0.02
"""What logins that race for the last places give each other to leave."""
MOST_AT_ONCE = 500
"""Sessions beyond the limit that one login ends."""
FIRST_LOOK = 10
"""Logins of one user at this worker before it looks for the first time how many sessions there are."""
MOST_REMEMBERED = 1_000
"""Users whose logins a worker counts."""

_log = logging.getLogger(__name__)


class SessionLimit:
    """Keeps users within the limit.

    Args:
        settings: `max_sessions_per_user` and `max_sessions_action`.
        installation: An installation that an older version began has no limit unless one is set.
        sessions: The store of sessions.
        revoker: Ends the sessions beyond the limit.
        clock: The time, ms.
        beside: Runs tasks for which no login waits.
    """

    def __init__(
        self,
        settings: SessionSettings,
        installation: Installation,
        sessions: SessionRepository,
        revoker: Revoker,
        clock: Clock,
        beside: Beside,
    ) -> None:
        is_set = "max_sessions_per_user" in settings.model_fields_set
        self._limit = settings.max_sessions_per_user if is_set or installation.is_new else None
        self._rejects = settings.max_sessions_action == "reject"
        self._at_once = is_set or self._rejects
        self._sessions = sessions
        self._revoker = revoker
        self._clock = clock
        self._beside = beside
        self._until_look: OrderedDict[bytes, int] = OrderedDict()

    async def before(self, row: SessionRow, replaced: Iterable[str]) -> SessionRow:
        """End what is too many before a new session is stored, and return its row as the newest of its user's.

        Args:
            row: The new session.
            replaced: Sessions that are about to end because of it.

        Raises:
            SessionLimitReached: With the action ``reject``.
        """
        limit = self._limit
        if limit is None or not self._at_once:
            return row
        leaving = frozenset(replaced)
        newest = await self._newest(row.user_id, limit + len(leaving))
        staying = [handle for handle, _ in newest if handle not in leaving]
        too_many = staying[limit - 1 :]
        if too_many and self._rejects:
            raise SessionLimitReached
        await self._evict(too_many)
        # The order of logins decides who goes, so no clock that is behind may put this one before the others.
        latest = max((created_at for handle, created_at in newest if handle not in leaving), default=None)
        return row if latest is None else replace(row, created_at=max(row.created_at, latest + 1))

    async def after(self, row: SessionRow) -> None:
        """Look once more after the insert: of logins that race, each sees the others' rows or is seen by them.

        Raises:
            SessionLimitReached: With the action ``reject``; the new session has been ended.
        """
        limit = self._limit
        if limit is None:
            return
        if not self._at_once:
            if self._is_time_to_look(row.user_id):
                self._beside.start(self._look(row.user_id, limit))
        elif self._rejects:
            await self._leave_if_too_many(row, limit)
        else:
            await self._evict([handle for handle, _ in (await self._newest(row.user_id, limit))[limit:]])

    async def _leave_if_too_many(self, row: SessionRow, limit: int) -> None:
        # A login stays once it sees no more than the limit: of all that stay, the last one to look saw the others.
        # While there are too many the last in order leave first, one more place at each look, so that not all do.
        for place_to_leave in range(limit, -1, -1):
            newest = await self._newest(row.user_id, limit)
            oldest_first = [handle for handle, _ in reversed(newest)]
            if len(oldest_first) <= limit:
                return
            if row.handle in oldest_first[place_to_leave:]:
                await self._revoker.revoke(row.handle, reason="rejected")
                raise SessionLimitReached
            await asyncio.sleep(LEAVING_SECONDS)

    def _is_time_to_look(self, owner: bytes) -> bool:
        left = self._until_look.pop(owner, FIRST_LOOK) - 1
        self._until_look[owner] = left if left > 0 else FIRST_LOOK
        if len(self._until_look) > MOST_REMEMBERED:
            self._until_look.popitem(last=False)
        return left <= 0

    async def _look(self, owner: bytes, limit: int) -> None:
        try:
            # The default limit ends the sessions that were not used for longest, whenever they were logged in.
            newest = await self._newest(owner, limit, by_use=True)
            await self._evict([handle for handle, _ in newest[limit:]])
        except StoreUnavailable:
            _log.info("How many sessions a user has could not be looked up; a later login does.")
        else:
            # Far from the limit there is no hurry. Near it each login looks, whatever other workers do.
            self._until_look[owner] = max(1, (limit - len(newest)) // 4)

    async def _evict(self, handles: list[str]) -> None:
        if len(handles) == 1:
            await self._revoker.revoke(handles[0], reason="evicted")
        elif handles:
            await self._revoker.revoke_many(handles, reason="evicted")

    async def _newest(self, owner: bytes, limit: int, *, by_use: bool = False) -> list[tuple[str, int]]:
        return await self._sessions.newest_of(owner, now=self._clock(), limit=limit + MOST_AT_ONCE, by_use=by_use)
