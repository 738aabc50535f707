"""How many sessions a user may have: ``max_sessions_per_user``.

A limit that was set is kept by the time a login returns. The default of a new installation only keeps accounts from
growing without end: once a worker has seen some logins of a user it looks, beside the requests, how many sessions there
are, and near the limit at each further login. A login is one statement until then.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from asgi_sessions.errors import SessionLimitReached, StoreUnavailable
from asgi_sessions.manager.beside import Beside
from asgi_sessions.manager.installation import Installation
from asgi_sessions.manager.limit_function import LimitByUser
from asgi_sessions.manager.listing import record_of
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import ListedSession, SessionRepository, SessionRow

LEAVING_SECONDS = 0.02
"""What logins that race for the last places give each other to leave."""
MOST_COUNTED = 1_000_000_000
"""A limit beyond it is none: no user has so many sessions, and databases cannot be asked for any number of rows."""
MOST_AT_ONCE = 500
"""Sessions beyond the limit that one login ends."""
FIRST_LOOK = 10
"""Logins of one user at this worker before it looks for the first time how many sessions there are."""
MOST_REMEMBERED = 1_000
"""Users whose logins a worker counts."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user is allowed at a login.

    Attributes:
        limit: How many sessions at once; None for any number.
        at_once: Whether that is kept by the time the login returns.
    """

    limit: int | None
    at_once: bool


class SessionLimit:
    """Keeps users within the limit.

    Args:
        settings: `max_sessions_per_user` and `max_sessions_action`.
        installation: An installation that an older version began has no limit unless one is set.
        sessions: The store of sessions.
        revoker: Ends the sessions beyond the limit.
        clock: The time, ms.
        beside: Runs tasks for which no login waits.
        by_user: Asks the application's own function.
    """

    def __init__(
        self,
        settings: SessionSettings,
        installation: Installation,
        sessions: SessionRepository,
        revoker: Revoker,
        clock: Clock,
        beside: Beside,
        by_user: LimitByUser,
    ) -> None:
        is_set = "max_sessions_per_user" in settings.model_fields_set
        self._limit = settings.max_sessions_per_user if is_set or installation.is_new else None
        self._rejects = settings.max_sessions_action == "reject"
        self._at_once = is_set or self._rejects
        self._sessions = sessions
        self._revoker = revoker
        self._clock = clock
        self._beside = beside
        self._by_user = by_user
        self._until_look: OrderedDict[bytes, int] = OrderedDict()

    async def of(self, row: SessionRow) -> "Allowed":
        """What the user of a new session is allowed. Costs nothing where the application has no say of its own."""
        if row.actor is not None:
            return Allowed(None, False)  # it does not count among the user's own
        limit, by_user = await self._by_user.of(row, self._limit)
        if limit is not None and limit > MOST_COUNTED:
            limit = None
        return Allowed(limit, by_user or self._at_once)

    async def before(
        self, row: SessionRow, replaced: Iterable[str], allowed: "Allowed", evicted: list[SessionRecord]
    ) -> SessionRow:
        """End what is too many before a new session is stored, and return its row as the newest of its user's.

        Args:
            row: The new session.
            replaced: Sessions that are about to end because of it.
            allowed: What `of` has said.
            evicted: To which those are added that have ended.

        Raises:
            SessionLimitReached: With the action ``reject``.
        """
        limit = allowed.limit
        if limit is None or not allowed.at_once:
            return row
        leaving = frozenset(replaced)
        newest = await self._newest(row.user_id, limit + len(leaving))
        staying = [other for other in newest if other.handle not in leaving]
        too_many = staying[limit - 1 :]
        if too_many and self._rejects:
            raise SessionLimitReached
        evicted += await self._evict(row.user_id, too_many)
        # The order of logins decides who goes, so no clock that is behind may put this one before the others.
        latest = max((other.created_at for other in staying), default=None)
        return row if latest is None else replace(row, created_at=max(row.created_at, latest + 1))

    async def after(self, row: SessionRow, allowed: "Allowed", evicted: list[SessionRecord]) -> None:
        """Look once more after the insert: of logins that race, each sees the others' rows or is seen by them.

        Args:
            row: The new session.
            allowed: What `of` has said.
            evicted: To which those are added that have ended; none that end beside the login.

        Raises:
            SessionLimitReached: With the action ``reject``; the new session has been ended.
        """
        limit = allowed.limit
        if limit is None:
            return
        if not allowed.at_once:
            if self._is_time_to_look(row.user_id):
                self._beside.start(self._look(row.user_id, limit))
        elif self._rejects:
            await self._leave_if_too_many(row, limit)
        else:
            evicted += await self._evict(row.user_id, (await self._newest(row.user_id, limit))[limit:])

    async def _leave_if_too_many(self, row: SessionRow, limit: int) -> None:
        # A login stays once it sees no more than the limit: of all that stay, the last one to look saw the others.
        # While there are too many the last in order leave first, one more place at each look, so that not all do.
        for place_to_leave in range(limit, -1, -1):
            newest = await self._newest(row.user_id, limit)
            oldest_first = [other.handle for other in reversed(newest)]
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
            await self._evict(owner, newest[limit:])
        except StoreUnavailable:
            _log.info("How many sessions a user has could not be looked up; a later login does.")
        else:
            # Far from the limit there is no hurry. Near it each login looks, whatever other workers do.
            self._until_look[owner] = max(1, (limit - len(newest)) // 4)

    async def _evict(self, owner: bytes, too_many: Sequence[ListedSession]) -> Sequence[SessionRecord]:
        user = user_id.decode(owner)
        return await self._revoker.evict([record_of(each, user) for each in too_many])

    async def _newest(self, owner: bytes, limit: int, *, by_use: bool = False) -> list[ListedSession]:
        return await self._sessions.newest_of(owner, now=self._clock(), limit=limit + MOST_AT_ONCE, by_use=by_use)
