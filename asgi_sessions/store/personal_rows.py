"""What sessions hold about people: taken away in time. The contract stands in ``repository``."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import Executable

from asgi_sessions.store.ending import PURGE_BATCH, SessionEnding, boundary
from asgi_sessions.store.engine import Database
from asgi_sessions.store.prepared import Outcome
from asgi_sessions.store.schema import Tables
from asgi_sessions.store.session_statements import PersonalStatements

__all__ = ["PersonalRows"]


class PersonalRows(SessionEnding):
    """The part of ``SessionRepository`` that knows what is personal."""

    def __init__(self, database: Database, tables: Tables) -> None:
        super().__init__(database, tables)
        self._personal = PersonalStatements(tables)

    async def forget_addresses(self, begun_before: int) -> int:
        """Take the address from all sessions that were created before this (ms), live or not; return how many.

        It goes through all rows along the primary key, with one statement for each thousand or so: an index of the
        time of creation would be written to at every login.
        """
        walk = self._walk(self._personal.forget_addresses, {"begun_before": begun_before})
        return sum([outcome.rowcount async for outcome in walk])

    async def _walk(
        self, statements: tuple[Executable, Executable], values: Mapping[str, Any]
    ) -> AsyncIterator[Outcome]:
        """Run a statement on everybody's sessions, part by part.

        Args:
            statements: One for each part but the last, and that one's.
            values: Its parameters, but for the bounds.
        """
        any_part, last = statements
        parts = await self.parts_of_all(PURGE_BATCH)
        for part in range(parts):
            first = {"first": boundary(part, parts) if part else ""}
            if part == parts - 1:
                yield await self._run(last, {**values, **first})
            else:
                yield await self._run(any_part, {**values, **first, "beyond": boundary(part + 1, parts)})
