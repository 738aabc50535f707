"""The tombstones in the database, newest first, and the changes of payloads in between: what the revocation feed reads.

A change (``payload_changes``) is written, found, kept and purged as a tombstone is: what stands here of ``revoked_at``
holds for ``changed_at`` too, and both have their places in one order.

The order of tombstones depends on no single clock
==================================================

``revoked_at`` is the database's time, but never less than the *revocation clock*, a number in the state table that is
only ever raised, to the highest ``revoked_at`` that a worker has seen. So whatever the nodes of a cluster take for the
time: once a worker has read the number V, every revocation that begins later, on whichever node, lies at V or above
(`REPLICATION_LAG_MS` later on a node that lags). In a system at rest nothing is written.

The *revocation floor* is what the clock was when the oldest tombstone that is still needed was written: a worker that
starts reads down to it.

No news comes from a server that takes no writes
================================================

A replica, or a primary that was demoted, shows what was true some time ago. Each page says whether it was read on such
a one. Then it counts for nothing, and its connections are used no more.

Source: L. Lamport, Time, Clocks and the Ordering of Events in a Distributed System (1978).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Subquery,
    and_,
    bindparam,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)

from asgi_sessions.store.causes import Cause
from asgi_sessions.store.database_clock import database_node, database_now, database_read_only
from asgi_sessions.store.engine import Database
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.untold import left_by_purge

__all__ = [
    "CLOCK",
    "LONGEST_DELAY",
    "LONGEST_LIFETIME",
    "PAGE_SIZE",
    "TOP",
    "Page",
    "Position",
    "TombstoneStore",
    "revocation_clock",
    "tombstone_lifetime",
]

_NOW = prepared(select(database_now(), database_node()))

PAGE_SIZE = 1_000
"""Few enough to be read in some milliseconds, so that a worker goes on serving in between. Rows of larger pages also
grow old in Python's garbage collector, which then goes through all objects of the process again and again."""
NODES_APART_MS = 60_000
"""By which the clocks of nodes may differ at the very first start, when there is no revocation clock yet."""
CLOCK, FLOOR = "revocation_clock", "revocation_floor"
LONGEST_LIFETIME = "longest_access_token_lifetime"
LONGEST_DELAY = "longest_revocation_delay"


def tombstone_lifetime(state: Mapping[str, int]) -> int:
    """How long a revoked session is remembered, in the database and by every worker, ms.

    Until no access token of it can be good any more: neither one of before the revocation, nor one that a stale read
    has let through, whatever any worker's settings are, or were when it was issued. The second lifetime is for the
    stale read and for what two workers' clocks differ; where lifetimes are shorter than that, the delay adds it.

    Args:
        state: The numbers that all workers share.
    """
    return 2 * state.get(LONGEST_LIFETIME, 0) + state.get(LONGEST_DELAY, 0)


def revocation_clock(tables: Tables) -> ColumnElement[int]:
    """What no new tombstone may lie below, ms; 0 before any worker has read tombstones."""
    state = tables.state.c
    return func.coalesce(select(state.value).where(state.name == literal(CLOCK)).scalar_subquery(), 0)


class Position(NamedTuple):
    """A place in the order of what the feed reads, which is that of the indexes.

    Attributes:
        revoked_at: ms; of a change, its ``changed_at``.
        idle_expires_at: ms; 0 of a change.
        handle: The session's.
    """

    revoked_at: int
    idle_expires_at: int
    handle: str


TOP = Position(2**63 - 1, 2**63 - 1, "")
"""The place above all tombstones."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one statement reads.

    Attributes:
        now: The database's time, ms.
        clock: The revocation clock, ms.
        handles: Of the sessions revoked, in no particular order.
        next: Where the next page begins; None if there is none.
        newest: The highest ``revoked_at``, or ``changed_at``, of the page; None where it is empty.
        above_clock: How many of them are not below the revocation clock.
        changes: The sessions whose payloads were changed, each with a version that its payload has at least.
    """

    now: int
    clock: int
    handles: Sequence[str]
    next: Position | None
    newest: int | None
    above_clock: int
    changes: Sequence[tuple[str, int]] = ()


class TombstoneStore:
    """Reads tombstones in pages. Each page is one statement, along the indexes, however many there are in all."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._run = database.run
        self._state = StateStore(database, tables)
        self._page = of_tables(_page_of, tables, database.dialect)

    async def now(self) -> int:
        """The database's time, ms."""
        return (await self.node())[0]

    async def node(self) -> tuple[int, str]:
        """The time, ms, on one of the database's nodes, and how that node is called."""
        ((now, name),) = (await self._run(_NOW)).rows
        return int(now), str(name)

    async def floor(self, lifetime_ms: int) -> int:
        """Down to where a worker that starts must read, ms. The first one that ever does so starts the clock as well.

        Args:
            lifetime_ms: For how long a tombstone is needed.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        state = await self._state.all()
        if CLOCK in state and FLOOR in state:
            return state[FLOOR]
        clock = await self._state.settle(CLOCK, await self.now())
        return await self._state.settle(FLOOR, clock - lifetime_ms - NODES_APART_MS)

    async def raise_clock(self, value: int) -> None:
        """Have no later revocation lie below this, ms."""
        await self._state.lift(CLOCK, value)

    async def raise_floor(self, value: int, lifetime_ms: int) -> None:
        """Have no worker that starts read below this, ms.

        Args:
            value: What the clock was when the oldest tombstone was written that is still needed.
            lifetime_ms: For how long that is, as far as the caller knows. Nothing is done where it is longer by now:
                another worker has come with other settings.
        """
        if tombstone_lifetime(await self._state.all()) <= lifetime_ms:
            await self._state.lift(FLOOR, value)

    async def purgeable(self, now: int, lifetime_ms: int) -> int:
        """Below which ``revoked_at`` tombstones are no longer needed, ms.

        By the database's time; or by how far down the workers read, where a node that was ahead once has set the
        revocation clock, and so all later tombstones, to a time that the others reach only later.

        What may still have to be told elsewhere stays: see ``untold``.

        Args:
            now: The database's time, ms.
            lifetime_ms: For how long a tombstone is needed.
        """
        state = await self._state.all()
        below = max(now - lifetime_ms, state.get(FLOOR, 0))
        left = left_by_purge(state, now)
        return below if left is None else min(below, left)

    async def page(self, before: Position, since: int, *, strong: bool = False) -> Page:
        """The next tombstones, from the newest to the oldest.

        Args:
            before: Where the page begins.
            since: The lowest ``revoked_at`` that is wanted, ms.
            strong: See `Database.run`.

        Raises:
            StoreUnavailable: The database did not answer, or has turned read-only.
        """
        outcome = await self._run(
            self._page,
            {
                "since": since,
                "revoked_at": before.revoked_at,
                "idle_expires_at": before.idle_expires_at,
                "p_handle": before.handle,
                "size": PAGE_SIZE,
            },
            strong=strong,
        )
        # Up to a million of these are read at a start: nothing is made of a row that is not needed.
        now, clock, read_only = next((int(row[0]), int(row[1]), row[3]) for row in outcome.rows if row[2] is None)
        if read_only:
            await self._database.leave(Cause.READ_ONLY)
        ended = [row for row in outcome.rows if row[3] is None]
        changed = [row for row in outcome.rows if row[3] is not None and row[2] is not None]
        # A union keeps no order. What lies below where one of the two was cut off belongs to the next page.
        cut = [Position(*min(rows)[:3]) for rows in (ended, changed) if len(rows) >= PAGE_SIZE]
        following = max(cut) if cut else None
        if following is not None and changed:
            ended, changed = ([row for row in rows if row[:3] >= following] for rows in (ended, changed))
        times = [row[0] for row in ended]
        if changed:
            times += [row[0] for row in changed]
        return Page(
            now,
            clock,
            [row[2] for row in ended],
            following,
            max(times, default=None),
            sum(time >= clock for time in times),
            [(row[2], row[3]) for row in changed],
        )


def _page_of(tables: Tables, dialect: str) -> Any:
    """The statement that reads the time and a page of what has changed."""
    s, c = tables.sessions.c, tables.payload_changes.c
    none = cast(null(), BigInteger)
    ended = _newest(dialect, (s.revoked_at, s.idle_expires_at, s.handle), none)
    changed = _newest(dialect, (c.changed_at, literal(0, BigInteger), c.handle), c.payload_version)
    # The time comes along in a row of its own, for there may be no other.
    time = select(database_now(), revocation_clock(tables), null(), database_read_only())
    return prepared(time.union_all(select(*ended.c), select(*changed.c)))


def _newest(dialect: str, place: tuple[Any, Any, Any], version: Any) -> Subquery:
    """The newest rows of one of the two kinds, below a place in the order of both."""
    earlier = _earlier_mysql(*place) if dialect == "mysql" else _earlier(*place)
    columns = [column.label(name) for column, name in zip((*place, version), "tihv", strict=True)]
    size = bindparam("size", type_=BigInteger)
    below = select(*columns).where(
        place[0] >= bindparam("since", type_=BigInteger), place[0] <= _bound("revoked_at"), earlier
    )
    # A constant is no order, and a number names a column.
    order = [label for label in columns[:3] if not isinstance(label.element, BindParameter)]
    if dialect == "postgresql":
        # Its indexes lack the handle, and where its statistics are older than a bulk of tombstones it sorts all of
        # them for each page. In the order of the index there is nothing to sort but this page.
        in_order = below.order_by(*(label.desc() for label in order[:-1])).fetch(size, with_ties=True).subquery()
        order = [in_order.c[label.name] for label in order]
        below = select(*in_order.c)
    return below.order_by(*(column.desc() for column in order)).limit(size).subquery()


def _bound(name: str) -> Any:
    return bindparam(name) if name == "p_handle" else bindparam(name, type_=BigInteger)


def _earlier(revoked_at: Any, idle_expires_at: Any, handle: Any) -> ColumnElement[bool]:
    place = tuple_(_bound("revoked_at"), _bound("idle_expires_at"), _bound("p_handle"))
    return tuple_(revoked_at, idle_expires_at, handle) < place


def _earlier_mysql(revoked_at: Any, idle_expires_at: Any, handle: Any) -> ColumnElement[bool]:
    # MySQL does not use an index for a comparison of rows; these are three ranges of it.
    same_time = revoked_at == _bound("revoked_at")
    return or_(
        revoked_at < _bound("revoked_at"),
        and_(same_time, idle_expires_at < _bound("idle_expires_at")),
        and_(same_time, idle_expires_at == _bound("idle_expires_at"), handle < _bound("p_handle")),
    )
