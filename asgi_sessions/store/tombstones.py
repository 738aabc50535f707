"""The tombstones in the database, in the order in which they were written: what the revocation feed reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, literal, null, or_, select, tuple_

from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import Database
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables

__all__ = ["PAGE_SIZE", "Page", "Position", "TombstoneStore"]

PAGE_SIZE = 5_000
"""Few enough to be read in some tens of milliseconds, so that a worker goes on serving in between."""


class Position(NamedTuple):
    """A place in the order of the tombstones, which is that of their index.

    Attributes:
        revoked_at: By the database's clock, ms.
        idle_expires_at: ms.
        handle: The session's.
    """

    revoked_at: int
    idle_expires_at: int
    handle: str

    @classmethod
    def before(cls, revoked_at: int) -> "Position":
        """The place before all tombstones of this time, ms, or later."""
        return cls(revoked_at, -1, "")


@dataclass(frozen=True, slots=True)
class Page:
    """What one statement reads.

    Attributes:
        now: The database's time, ms.
        handles: Of the sessions revoked, in no particular order.
        next: Where to read on; None where there is nothing more.
    """

    now: int
    handles: Sequence[str]
    next: Position | None


class TombstoneStore:
    """Reads tombstones in pages. Each page is one statement, along the index, however many there are in all."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        s = tables.sessions.c
        columns = s.revoked_at, s.idle_expires_at, s.handle
        later = _later_mysql(*columns) if database.dialect == "mysql" else _later(*columns)
        page = (
            select(*columns)
            .where(s.revoked_at >= bindparam("revoked_at", type_=BigInteger), later)
            .order_by(*columns)
            .limit(bindparam("size", type_=BigInteger))
            .subquery()
        )
        # The time comes along in a row of its own, for there may be no other.
        time = select(database_now().label("revoked_at"), literal(0, BigInteger), null())
        self._page = prepared(time.union_all(select(page.c.revoked_at, page.c.idle_expires_at, page.c.handle)))
        self._now = select(database_now())

    async def now(self) -> int:
        """The database's time, ms."""
        return int((await self._run(self._now)).rows[0][0])

    async def page(self, after: Position) -> Page:
        """The next tombstones.

        Args:
            after: Where to begin.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        outcome = await self._run(
            self._page,
            {
                "revoked_at": after.revoked_at,
                "idle_expires_at": after.idle_expires_at,
                "p_handle": after.handle,
                "size": PAGE_SIZE,
            },
        )
        # Up to a million of these are read at a start: nothing is made of a row that is not needed.
        now = next(int(row[0]) for row in outcome.rows if row[2] is None)
        handles = [row[2] for row in outcome.rows if row[2] is not None]
        last = None
        if len(handles) >= PAGE_SIZE:  # a union keeps no order
            last = Position(*max(row for row in outcome.rows if row[2] is not None))
        return Page(now, handles, last)


def _bound(name: str) -> Any:
    return bindparam(name) if name == "p_handle" else bindparam(name, type_=BigInteger)


def _later(revoked_at: Any, idle_expires_at: Any, handle: Any) -> ColumnElement[bool]:
    place = tuple_(_bound("revoked_at"), _bound("idle_expires_at"), _bound("p_handle"))
    return tuple_(revoked_at, idle_expires_at, handle) > place


def _later_mysql(revoked_at: Any, idle_expires_at: Any, handle: Any) -> ColumnElement[bool]:
    # MySQL does not use an index for a comparison of rows; these are three ranges of it.
    same_time = revoked_at == _bound("revoked_at")
    return or_(
        revoked_at > _bound("revoked_at"),
        and_(same_time, idle_expires_at > _bound("idle_expires_at")),
        and_(same_time, idle_expires_at == _bound("idle_expires_at"), handle > _bound("p_handle")),
    )
