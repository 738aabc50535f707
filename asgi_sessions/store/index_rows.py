"""Indexed attributes in the database: by what sessions are found besides handle and user.

What must hold
==============

*A live session is found by all that it is to be found by.* Its entries are written before the session itself, and
before those are deleted that they replace; the purge deletes a session before its entries. So what fails half-way
leaves an entry too many, never one too few. An entry without a session finds nothing, and is deleted an hour later.

*An entry is never changed.* Whoever replaces entries deletes those that it has read: of two at once none deletes what
the other has written.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, and_, bindparam, delete, insert, or_, select

from asgi_sessions.protocol.session_index import Entry
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.handle_ranges import WALK_BATCH, parts_of, walk
from asgi_sessions.store.parameters import integer
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.session_row import READ_COLUMNS, SessionRow
from asgi_sessions.store.session_statements import Conditions, without_session

__all__ = ["Place", "SessionIndexStore"]

LOGIN_MS = 3_600_000
"""No login takes so long: an entry without a session is left over by then."""
Place = tuple[int, str]
"""In the order of an entry's sessions: time of creation, ms, and handle."""
TOP: Place = (2**63 - 1, "")
_KEY = "name", "digest", "created_at", "handle"


class _Statements:
    """Those about indexed attributes."""

    def __init__(self, tables: Tables) -> None:
        index, sessions = tables.session_index, tables.sessions
        self._index = index
        i, which = index.c, Conditions(sessions)
        of_entry = and_(i.name == bindparam("name"), i.digest == bindparam("digest"))
        of_handle = i.handle == bindparam("p_handle")
        created_at = integer("created_at")
        below = or_(i.created_at < created_at, and_(i.created_at == created_at, i.handle < bindparam("p_after")))
        found = and_(of_entry, below, sessions.c.handle == i.handle, which.live)
        order, size = (i.created_at.desc(), i.handle.desc()), integer("size")
        row = tuple(sessions.c[name] for name in READ_COLUMNS)
        left = and_(i.handle >= bindparam("first"), i.created_at < integer("begun_before"), without_session(tables))

        self.places = prepared(select(i.created_at, i.handle).where(found).order_by(*order).limit(size))
        self.rows = prepared(select(*row).where(found).order_by(*order).limit(size))
        self.of_session = prepared(select(i.name, i.digest).where(of_handle).order_by(i.name, i.digest))
        self.delete_entry = prepared(delete(index).where(of_entry, created_at == i.created_at, of_handle))
        self.any = prepared(select(i.handle).limit(1))
        self.handle_in_order = prepared(select(i.handle).order_by(i.handle).limit(1).offset(integer("place")))
        self.delete_left = (
            prepared(delete(index).where(left, i.handle < bindparam("beyond"))),
            prepared(delete(index).where(left)),
        )
        self.insert = cache(self._insert)

    def _insert(self, number: int) -> Executable:
        rows: list[dict[str, Any]] = [{name: bindparam(f"{name}_{place}") for name in _KEY} for place in range(number)]
        return prepared(insert(self._index).values(rows))


class SessionIndexStore:
    """Writes, finds and deletes entries. Failures as in ``SessionRepository``."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def insert(self, handle: str, created_at: int, entries: Sequence[Entry]) -> None:
        """Write all entries of a session that is not there yet; one statement, none where there are none.

        Args:
            handle: The session's, of no other one ever.
            created_at: ms.
            entries: Each once.
        """
        values: dict[str, Any] = {}
        for place, (name, digest) in enumerate(entries):
            row = zip(_KEY, (name, digest, created_at, handle), strict=True)
            values |= {f"{column}_{place}": value for column, value in row}
        if not values:
            return
        try:
            await self._run(self._statements.insert(len(entries)), values)
        except DuplicateKey as error:
            if not error.after_interruption:  # all or none of them: then the statement had been done
                raise

    async def add(self, handle: str, created_at: int, entries: Sequence[Entry]) -> None:
        """Write entries of a session, one by one; those that are there stay."""
        for entry in entries:
            try:
                await self.insert(handle, created_at, [entry])
            except DuplicateKey:
                continue

    async def remove(self, handle: str, created_at: int, entries: Sequence[Entry]) -> None:
        """Delete these entries of a session."""
        for name, digest in entries:
            values = {"name": name, "digest": digest, "created_at": created_at, "p_handle": handle}
            await self._run(self._statements.delete_entry, values, strong=True)

    async def entries_of(self, handle: str) -> list[Entry]:
        """By what a session is found, at the strongest consistency."""
        outcome = await self._run(self._statements.of_session, {"p_handle": handle}, strong=True)
        return [(name, bytes(digest)) for name, digest in outcome.rows]

    async def places_of(self, entry: Entry, now: int, *, limit: int, after: Place = TOP) -> list[Place]:
        """The live sessions of an entry, newest first, at the strongest consistency.

        Args:
            entry: The name and the digest of the value.
            now: ms.
            limit: How many at most.
            after: Only those behind this place.
        """
        outcome = await self._run(self._statements.places, _page(entry, now, limit, after), strong=True)
        return [(int(created_at), handle) for created_at, handle in outcome.rows]

    async def list_of(self, entry: Entry, now: int, *, limit: int, after: Place | None = None) -> list[SessionRow]:
        """A page of the live sessions of an entry, newest first; arguments as in `places_of`."""
        outcome = await self._run(self._statements.rows, _page(entry, now, limit, after or TOP))
        return [SessionRow(*row) for row in outcome.rows]

    async def is_used(self) -> bool:
        """Whether there is any entry at all."""
        return bool((await self._run(self._statements.any)).rows)

    async def delete_left_over(self, now: int) -> int:
        """Delete the entries that have no session, and no login that may still write it; return how many.

        It goes through all entries along the index of handles, unhurried.

        Args:
            now: ms, the database's.
        """
        parts = await parts_of(self._run, self._statements.handle_in_order, WALK_BATCH)
        values = {"begun_before": now - LOGIN_MS}
        outcomes = walk(self._run, self._statements.delete_left, values, parts, hurried=False)
        return sum([outcome.rowcount async for outcome in outcomes])


def _page(entry: Entry, now: int, limit: int, after: Place) -> dict[str, Any]:
    name, digest = entry
    created_at, handle = after
    return {"name": name, "digest": digest, "now": now, "size": limit, "created_at": created_at, "p_after": handle}
