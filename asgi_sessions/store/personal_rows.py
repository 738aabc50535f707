"""What sessions hold about people: exported, erased, taken away in time. The contract stands in ``repository``."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Executable

from asgi_sessions.protocol.session_index import Entry
from asgi_sessions.store.ending import REVOKE_BATCH, SessionEnding
from asgi_sessions.store.engine import Database
from asgi_sessions.store.handle_ranges import WALK_BATCH, walk
from asgi_sessions.store.prepared import Outcome
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.session_row import EXPORTED_COLUMNS
from asgi_sessions.store.session_statements import PersonalStatements

__all__ = ["EXPORT_BATCH", "PersonalRows"]

EXPORT_BATCH = 20
"""Sessions that one statement reads whole: the info of each may have a megabyte."""


class PersonalRows(SessionEnding):
    """The part of ``SessionRepository`` that knows what is personal.

    Of a session two people can be told: its user, and who acts in it as that user.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        super().__init__(database, tables)
        self._personal = of_tables(PersonalStatements, tables)

    async def export(self, user_id: bytes, *, acting: bool) -> AsyncIterator[Mapping[str, Any]]:
        """Give each of a user's sessions, ended ones too, by the names of the columns, without hashes of tokens.

        ``index`` has by what it is found.

        Newest first.

        Args:
            user_id: Whose.
            acting: Whether those follow in which the user acts as somebody else. Then it goes through all rows.
        """
        own = (await self._run(self._personal.handles_of, {"p_user_id": user_id}, strong=True)).rows
        async for row in self._exported(user_id, [handle for (handle,) in own]):
            yield row
        if acting:
            async for handles in self.acting(user_id):
                async for row in self._exported(user_id, handles):
                    yield row

    async def acting(self, user_id: bytes) -> AsyncIterator[Sequence[str]]:
        """Give the handles of the sessions in which a user acts as another one, ended ones too.

        It goes through all rows along the primary key, with one statement for each thousand or so.
        """
        async for outcome in self._walk(self._personal.acting, {"p_user_id": user_id}, strong=True):
            if outcome.rows:
                yield [handle for (handle,) in outcome.rows]

    async def erase_of(self, user_id: bytes, now: int) -> int:
        """Take away what is personal from all sessions of which this is the user and that are over.

        Args:
            user_id: Whose.
            now: ms. A live session is left alone: end it first.

        Returns:
            From how many.
        """
        count = 0
        values = {"p_user_id": user_id, "now": now, "size": REVOKE_BATCH}
        while True:
            handles = [handle for (handle,) in (await self._run(self._personal.over_of, values, strong=True)).rows]
            erased = await self.erase(user_id, handles, now)
            count += erased
            if not erased or len(handles) < REVOKE_BATCH:
                return count

    async def erase(self, user_id: bytes, handles: Sequence[str], now: int) -> int:
        """Take away what is personal from these sessions, as far as they are this user's and over; return how many.

        What a tombstone is for stays: that the session has ended, when and why. One that has merely expired becomes
        one: no worker whose clock is behind may take it for live.
        """
        count = 0
        for start in range(0, len(handles), REVOKE_BATCH):
            values = {"p_user_id": user_id, "now": now, "handles": handles[start : start + REVOKE_BATCH]}
            count += (await self._run(self._personal.erase, values, strong=True)).rowcount
            await self._run(self._personal.unindex, {"handles": values["handles"]}, strong=True)
        return count

    async def forget_addresses(self, begun_before: int) -> int:
        """Take the address from all sessions that were created before this (ms), live or not; return how many.

        It goes through all rows along the primary key, with one statement for each thousand or so: an index of the
        time of creation would be written to at every login.
        """
        walk = self._walk(self._personal.forget_addresses, {"begun_before": begun_before}, hurried=False)
        return sum([outcome.rowcount async for outcome in walk])

    async def _exported(self, user_id: bytes, handles: Sequence[str]) -> AsyncIterator[Mapping[str, Any]]:
        for start in range(0, len(handles), EXPORT_BATCH):
            batch = handles[start : start + EXPORT_BATCH]
            outcome = await self._run(self._personal.export, {"p_user_id": user_id, "handles": batch}, strong=True)
            named = [dict(zip(EXPORTED_COLUMNS, row, strict=True)) for row in outcome.rows]
            index: dict[str, list[Entry]] = {}
            for handle, name, digest in (
                await self._run(self._personal.index_of, {"handles": batch}, strong=True)
            ).rows:
                index.setdefault(handle, []).append((name, bytes(digest)))
            for row in sorted(named, key=lambda row: batch.index(row["handle"])):
                yield row | {"index": index.get(row["handle"], [])}

    async def _walk(
        self,
        statements: tuple[Executable, Executable],
        values: Mapping[str, Any],
        *,
        strong: bool = False,
        hurried: bool = True,
    ) -> AsyncIterator[Outcome]:
        """Run a statement on everybody's sessions, part by part; see `handle_ranges.walk`."""
        parts = await self.parts_of_all(WALK_BATCH)
        async for outcome in walk(self._run, statements, values, parts, strong=strong, hurried=hurried):
            yield outcome
