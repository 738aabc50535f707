"""Ending sessions, and deleting what has ended. The contract stands in ``repository``."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Executable

from asgi_sessions.store.batches import delete_in_batches
from asgi_sessions.store.engine import Database
from asgi_sessions.store.handle_ranges import boundary, parts_of
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.session_row import is_storable
from asgi_sessions.store.session_statements import EndingStatements

__all__ = ["AT_ONCE", "REVOKE_BATCH", "SessionEnding"]

REVOKE_BATCH = 500
"""Handles that one statement names."""
AT_ONCE = 2_000
"""A user's sessions that one statement ends, on a server. Polls go past all that it has changed so far, and on InnoDB
look up each as it was before: past a hundred thousand in a second and a half."""
AT_ONCE_SQLITE = 50_000
"""SQLite ends so many in a quarter of a second, and goes past all of the user's for each part."""
_NEVER = 2**63 - 1


class SessionEnding:
    """The part of ``SessionRepository`` that ends sessions.

    Attributes:
        at_once: How many of a user's sessions one statement may end.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._ending = of_tables(EndingStatements, tables)
        self.at_once = AT_ONCE_SQLITE if database.dialect == "sqlite" else AT_ONCE

    async def revoke(self, handle: str, reason: str, now: int, *, user_id: bytes | None = None) -> bool:
        """End a session, or only one of this user's. False if it was not live, or not this user's."""
        if not is_storable(handle):
            return False
        values: dict[str, Any] = {"p_handle": handle, "reason": reason, "now": now}
        if user_id is None:
            return await self._end(self._ending.revoke, values) == 1
        return await self._end(self._ending.revoke_own, values | {"p_user_id": user_id}) == 1

    async def revoke_many(self, handles: Iterable[str], reason: str, now: int) -> int:
        """End these sessions, `REVOKE_BATCH` at most, and return how many of them were live."""
        unique = [handle for handle in dict.fromkeys(handles) if is_storable(handle)]
        if not unique:
            return 0
        return await self._end(self._ending.revoke_many, {"handles": unique, "reason": reason, "now": now})

    async def revoke_all(self, user_id: bytes, reason: str, now: int, *, except_handle: str | None = None) -> int:
        """End all of a user's sessions, or all but one; none of them where the user has more rows than `at_once`.

        Returns:
            How many were live. 0 says that none was, or that there are too many: see `count_of` and `revoke_part`.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "reason": reason, "now": now, "few": self.at_once}
        if except_handle is None or not is_storable(except_handle):
            return await self._end(self._ending.revoke_all, values)
        return await self._end(self._ending.revoke_others, values | {"except_handle": except_handle})

    async def count_of(self, user_id: bytes, now: int, *, except_handle: str | None = None) -> int:
        """Return how many sessions a user has, ended ones too, or 0 if none is live, or none but one.

        At the strongest consistency.

        Args:
            user_id: Whose.
            now: ms.
            except_handle: The one that may be live.
        """
        values = {"p_user_id": user_id, "now": now, "except_handle": except_handle or ""}
        return int((await self._run(self._ending.count_of, values, strong=True)).rows[0][0])

    async def revoke_part(
        self, user_id: bytes, reason: str, now: int, part: int, parts: int, *, except_handle: str | None = None
    ) -> int:
        """End one part of a user's sessions, or of all but one; return how many were live.

        Handles are random, so that the parts are about equally large. Each handle belongs to one part in any case.

        Args:
            user_id: Whose.
            reason: Why.
            now: ms.
            part: Which one, from 0.
            parts: How many parts there are.
            except_handle: A session to keep.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "reason": reason, "now": now}
        values |= {"except_handle": except_handle or "", "first": boundary(part, parts) if part else ""}
        if part == parts - 1:
            return await self._end(self._ending.revoke_last_part, values)
        return await self._end(self._ending.revoke_part, values | {"beyond": boundary(part + 1, parts)})

    async def parts_of_all(self, size: int | None = None) -> int:
        """Into how many parts everybody's sessions, ended ones too, are to be divided; see `revoke_any_part`.

        Args:
            size: About how many sessions a part is to have; None for `at_once`.
        """
        return await parts_of(self._run, self._ending.handle_in_order, self.at_once if size is None else size)

    async def revoke_any_part(
        self,
        reason: str,
        now: int,
        part: int,
        parts: int,
        *,
        begun_before: int | None = None,
        except_handle: str | None = None,
    ) -> int:
        """End one part of everybody's sessions; return how many were live.

        Args:
            reason: Why.
            now: ms.
            part: Which one, from 0, as in `revoke_part`.
            parts: Of how many.
            begun_before: Only those that were created before this, ms.
            except_handle: A session to keep.
        """
        values: dict[str, Any] = {"reason": reason, "now": now, "except_handle": except_handle or ""}
        values["begun_before"] = _NEVER if begun_before is None else begun_before
        values["first"] = boundary(part, parts) if part else ""
        if part == parts - 1:
            return await self._end(self._ending.revoke_last_any_part, values)
        return await self._end(self._ending.revoke_any_part, values | {"beyond": boundary(part + 1, parts)})

    async def _end(self, statement: Executable, values: dict[str, Any]) -> int:
        """Run a statement that ends sessions; return how many.

        Nobody decides anything by its outcome again: on a node that lags it waits for the sessions that others made.
        """
        return (await self._run(statement, values, strong=True)).rowcount

    async def purge(self, now: int, tombstones_before: int, limit: int | None = None, *, unindex: bool = True) -> int:
        """Delete sessions that ended by time, and tombstones that nobody needs. Never a live session.

        In batches, with rests between them: see `batches`.

        Args:
            now: ms. Never revoked sessions whose idle or absolute end is not later than this are deleted.
            tombstones_before: ms. Sessions revoked before this are deleted, expired or not; others are kept.
            limit: How many at most.
            unindex: Whether to delete also what leads to them; False where no session has an index.

        Returns:
            How many were deleted.
        """
        count = 0
        values = {"now": now, "tombstones_before": tombstones_before}
        after = self._ending.unindex if unindex else None
        for keys, deletion in self._ending.purgeable:
            room = None if limit is None else limit - count
            count += await delete_in_batches(self._run, keys, deletion, values, limit=room, after=after)
        return count
