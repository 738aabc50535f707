"""The sessions in the database: what a store must do, and the statements that do it.

The contract
============

*One operation is one autocommit statement*; ``find(fresh=True)`` adds two on a cluster, ``purge`` goes in batches.
Nothing is read in order to be written: compare-and-swap decides every race. No statement ends more than about
`AT_ONCE` sessions: what it changes is in everybody's way until it is committed.

*Live* means: not revoked, and ``expires_at`` and ``idle_expires_at`` both later than ``now``. ``now`` is the
caller's clock in ms; ``revoked_at`` is the database's, since the workers that read the tombstones share no
other, and never below the revocation clock, since the database's nodes may not share one either
(``store/tombstones.py``).

*Absent is ordinary.* A handle that was never issued, of any length and any characters, gives None, False or
0, never an error; where no handle can look like it, not even a statement. Handles and user ids are compared
byte by byte.

*A tombstone is final.* ``revoke…`` writes ``revoked_at`` and never deletes; no other operation changes a
revoked row, and only ``purge`` removes it, by its age. ``promote`` and ``revoke`` in any order leave the
session revoked.

*The caller caps* ``idle_expires_at`` at ``expires_at``: finding the dead by index relies on it.

*Failures* (``store/failures.py``): lock conflicts and lost connections are dealt with here as far as that is
safe. What is left is ``StoreUnavailable``: nothing was decided. Only ``promote`` and ``serve`` raise its
subclass ``StatementInterrupted``: it may have been done, so read the row again. When a connection is lost in
mid-statement, the answer of a ``revoke…`` may leave out what the lost statement did; the effect is the same.
No error carries a value.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    LargeBinary,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.protocol.rotation import Chain, Lineage, Served
from asgi_sessions.protocol.timeouts import is_expired
from asgi_sessions.store.database_clock import database_now, greatest
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.failures import DatabaseFailure
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables
from asgi_sessions.store.tombstones import revocation_clock

__all__ = ["SessionRepository", "SessionRow"]

PURGE_BATCH = 1000
"""Larger deletes make live statements wait."""
REVOKE_BATCH = 500
"""Handles that one statement names."""
AT_ONCE = 2_000
"""A user's sessions that one statement ends, on a server. Polls go past all that it has changed so far, and on InnoDB
look up each as it was before: past a hundred thousand in a second and a half."""
AT_ONCE_SQLITE = 50_000
"""SQLite ends so many in a quarter of a second, and goes past all of the user's for each part."""
LIVING_BATCH = 500
PAGE = 100
"""Of a list of sessions."""

_HANDLE = re.compile(r"[!-~]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A row of the sessions table. Times in ms, hashes as stored, texts as JSON.

    Attributes:
        handle: The session's public name.
        user_id: The stored form of the user id.
        gen: The current token's generation.
        cur: The current token's hash.
        cur_iat: When the current token was issued.
        prev: The hash of the current token's parent; None for generation 0.
        promoted_at: When the current token was promoted; None if none was.
        created_at: When the session was created.
        last_active_at: When it was created or last promoted.
        auth_time: When the user last gave a credential.
        expires_at: The absolute end.
        idle_expires_at: The end if nothing more happens; never later than ``expires_at``.
        revoked_at: When it was revoked, by the database's clock; None while it is not.
        revoked_reason: Why, in a word of at most 20 ASCII characters.
        jwt_payload: What goes into every access token.
        device_label: At most 100 characters.
        ip_address: At most 45 characters.
        payload_version: How many times the payload has been replaced.
        late_gen: The generation at which the session was last served without new tokens; None if it never was.
        late_at: When that began, ms.
        late_count: At how many generations an overtaken parent was served so.
        session_info: For ``insert``; None in rows that were read: it may be large, see ``get_info``.
    """

    handle: str
    user_id: bytes
    gen: int
    cur: bytes
    cur_iat: int
    prev: bytes | None
    promoted_at: int | None
    created_at: int
    last_active_at: int
    auth_time: int
    expires_at: int
    idle_expires_at: int
    revoked_at: int | None
    revoked_reason: str | None
    jwt_payload: str = field(repr=False)
    device_label: str
    ip_address: str | None
    payload_version: int = 0
    late_gen: int | None = None
    late_at: int | None = None
    late_count: int = 0
    session_info: str | None = field(default=None, repr=False)

    @property
    def chain(self) -> Chain:
        """What rotation decides by."""
        return Chain(self.gen, self.cur, self.cur_iat, self.prev, self.promoted_at)

    @property
    def served(self) -> Served:
        """What service without tokens is decided by."""
        return Served(self.late_gen, self.late_at, self.late_count)

    def is_expired(self, now: int) -> bool:
        """Whether one of the session's timeouts has come at ``now`` (ms)."""
        return is_expired(now, expires_at=self.expires_at, idle_expires_at=self.idle_expires_at)


_COLUMNS = tuple(field.name for field in fields(SessionRow))
_READ = tuple(name for name in _COLUMNS if name != "session_info")


def _storable(handle: str) -> bool:
    # MySQL pads with spaces when it compares, PostgreSQL refuses NUL: such handles do not get there.
    return _HANDLE.match(handle) is not None


def _live(sessions: FromClause) -> ColumnElement[bool]:
    """Not revoked, and not expired as `protocol.timeouts.is_expired` says it."""
    s, now = sessions.c, bindparam("now", type_=BigInteger)
    return and_(s.revoked_at.is_(None), s.expires_at > now, s.idle_expires_at > now)


def _boundary(part: int, parts: int) -> str:
    """The first handle of a part, where handles are 32 hex digits."""
    return f"{part * 16**32 // parts:032x}"


class SessionRepository:
    """Every statement about sessions, built once. See the module's text for what all of them promise.

    Attributes:
        at_once: How many of a user's sessions one statement may end.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self.at_once = AT_ONCE_SQLITE if database.dialect == "sqlite" else AT_ONCE
        sessions = tables.sessions
        s = sessions.c
        now = bindparam("now", type_=BigInteger)
        of_handle = s.handle == bindparam("p_handle")
        of_user = s.user_id == bindparam("p_user_id")
        live = _live(sessions)
        row = tuple(s[name] for name in _READ)
        newest_first = (s.created_at.desc(), s.handle.desc())
        page_size = bindparam("size", type_=BigInteger)
        created_at = bindparam("created_at", type_=BigInteger)
        older = or_(s.created_at < created_at, and_(s.created_at == created_at, s.handle < bindparam("p_after")))
        # A consistent read takes no lock on the clock's row (READ COMMITTED): no revocation waits for another one.
        end = update(sessions).values(
            revoked_at=greatest(database_now(), revocation_clock(tables)), revoked_reason=bindparam("reason")
        )

        self._insert = prepared(insert(sessions).values({name: bindparam(name) for name in _COLUMNS}))
        self._find = prepared(select(*row).where(of_handle))
        page = select(*row).where(of_user, live).order_by(*newest_first).limit(page_size)
        self._list_of = prepared(page)
        self._list_older = prepared(page.where(older))
        self._newest_of = prepared(
            select(s.handle, s.created_at).where(of_user, live).order_by(*newest_first).limit(page_size)
        )
        last_used_first = (s.last_active_at.desc(), *newest_first)
        self._last_used_of = prepared(
            select(s.handle, s.created_at).where(of_user, live).order_by(*last_used_first).limit(page_size)
        )
        self._living = select(s.handle).where(s.handle.in_(bindparam("handles", expanding=True)), live)
        self._handles_of = prepared(select(s.handle).where(of_user, live).order_by(*newest_first))
        self._get_info = prepared(select(s.session_info).where(of_handle, live))
        self._set_info = prepared(update(sessions).where(of_handle, live).values(session_info=bindparam("text")))
        new_payload = update(sessions).values(jwt_payload=bindparam("text"), payload_version=s.payload_version + 1)
        self._set_payload = prepared(new_payload.where(of_handle, live))
        self._swap_payload = prepared(
            new_payload.where(of_handle, live, s.payload_version == bindparam("version", type_=BigInteger))
        )
        self._revoke = prepared(end.where(of_handle, live))
        self._revoke_own = prepared(end.where(of_handle, of_user, live))
        self._revoke_many = end.where(s.handle.in_(bindparam("handles", expanding=True)), live)
        rows = sessions.alias("of_user")  # the ended ones too: an index alone tells their number
        number = select(func.count().label("number")).where(rows.c.user_id == bindparam("p_user_id"))
        # MySQL lets a statement read the table that it changes where it has put the outcome aside.
        few = select(number.subquery("counted").c.number).scalar_subquery() <= bindparam("few", type_=BigInteger)
        other = s.handle != bindparam("except_handle")
        self._revoke_all = prepared(end.where(of_user, live, few))
        self._revoke_others = prepared(end.where(of_user, other, live, few))
        part = end.where(of_user, other, live, s.handle >= bindparam("first"))
        self._revoke_part = prepared(part.where(s.handle < bindparam("beyond")))
        self._revoke_last_part = prepared(part)
        self._count_of = prepared(number.where(select(s.handle).where(of_user, other, live).exists()))

        parent, grandparent, sibling_window = (
            bindparam("parent_hash", type_=LargeBinary),
            bindparam("grandparent_hash", type_=LargeBinary),
            bindparam("sibling_window", type_=BigInteger),
        )
        apart = func.abs(s.cur_iat - bindparam("parent_issued_at", type_=BigInteger))
        generation = bindparam("generation", type_=BigInteger)
        promotion = (
            update(sessions)
            .where(
                of_handle,
                s.gen == generation - 1,
                live,
                or_(s.cur == parent, and_(s.prev == grandparent, apart <= sibling_window)),
            )
            .values(
                gen=generation,
                cur=bindparam("token_hash"),
                cur_iat=bindparam("issued_at"),
                prev=parent,
                promoted_at=now,
                last_active_at=now,
                idle_expires_at=bindparam("idle"),
            )
        )
        self._promote = prepared(promotion)
        self._promote_and_serve = prepared(promotion.values(late_gen=generation, late_at=now))
        self._serve = prepared(
            update(sessions)
            .where(of_handle, s.gen == generation, live, or_(s.late_gen.is_(None), s.late_gen < generation))
            .values(
                late_gen=generation,
                late_at=now,
                late_count=s.late_count + bindparam("parents", type_=BigInteger),
                last_active_at=now,
                idle_expires_at=bindparam("idle"),
            )
        )

        self._touch = prepared(
            update(sessions)
            .where(of_handle, live, s.last_active_at < now - bindparam("unless_since", type_=BigInteger))
            .values(last_active_at=now, idle_expires_at=bindparam("idle"))
        )

        idle = and_(s.revoked_at.is_(None), s.idle_expires_at <= now)
        forgotten: ColumnElement[bool] = s.revoked_at < bindparam("tombstones_before", type_=BigInteger)
        limit = bindparam("batch", type_=BigInteger)
        by_age = (s.revoked_at, s.idle_expires_at)
        self._purgeable = [
            (
                select(s.handle).where(dead).order_by(*by_age).limit(limit),
                delete(sessions).where(s.handle.in_(bindparam("handles", expanding=True)), dead),
            )
            for dead in (idle, forgotten)
        ]

    async def insert(self, row: SessionRow) -> None:
        """Store a new session.

        Raises:
            ValueError: The handle is not 1 to 32 printable ASCII characters, or ``session_info`` is None.
            StoreUnavailable: It may or may not be there; nobody holds its tokens.
        """
        if not _storable(row.handle) or row.session_info is None:
            raise ValueError("a session needs a handle of 1 to 32 printable ASCII characters and an info")
        taken: DuplicateKey | None = None
        try:
            await self._run(self._insert, {name: getattr(row, name) for name in _COLUMNS})
        except DuplicateKey as error:
            taken = error
        # Handles are random: after an interruption the row that is there is the one that was sent before.
        if taken is not None and not taken.after_interruption:
            raise StoreUnavailable() from DatabaseFailure("duplicate session handle")

    async def find(self, handle: str, *, fresh: bool = False) -> SessionRow | None:
        """Return the session, live or not.

        Args:
            handle: Any text.
            fresh: Read at the strongest consistency that the engine offers. Before anybody is judged.
        """
        if not _storable(handle):
            return None
        outcome = await self._run(self._find, {"p_handle": handle}, strong=fresh)
        return SessionRow(*outcome.rows[0]) if outcome.rows else None

    async def promote(
        self,
        handle: str,
        lineage: Lineage,
        *,
        now: int,
        idle_expires_at: int,
        sibling_window: int,
        served: bool = False,
    ) -> bool:
        """Make the presented child the current token. True for exactly one of any number of callers.

        Args:
            handle: The session.
            lineage: The child's, with hashes as stored.
            now: ms.
            idle_expires_at: The new idle end, ms, at most the session's ``expires_at``.
            sibling_window: ms; see ``rotation.Windows``.
            served: Whether the child's request is served without tokens, which the row is to note.

        Returns:
            False if the row has moved on, is revoked or expired: read it again.

        Raises:
            StatementInterrupted: It may have been done: read the row again.
        """
        if not _storable(handle):
            return False
        parameters = {
            "p_handle": handle,
            "generation": lineage.generation,
            "token_hash": lineage.token_hash,
            "issued_at": lineage.issued_at,
            # NULL equals nothing in SQL, and neither may an empty hash.
            "parent_hash": lineage.parent_hash or None,
            "parent_issued_at": lineage.parent_issued_at,
            "grandparent_hash": lineage.grandparent_hash or None,
            "sibling_window": sibling_window,
            "now": now,
            "idle": idle_expires_at,
        }
        statement = self._promote_and_serve if served else self._promote
        return (await self._run(statement, parameters, swap=True)).rowcount == 1

    async def serve(self, handle: str, generation: int, *, now: int, idle_expires_at: int, overtaken: bool) -> bool:
        """Note that the session is served without tokens at this generation. True for one of any number of callers.

        Args:
            handle: The session.
            generation: The row's.
            now: ms.
            idle_expires_at: The new idle end, ms, at most the session's ``expires_at``.
            overtaken: Whether it is an overtaken parent that is served, which counts.

        Returns:
            False if it has been noted, or the row has moved on, is revoked or expired: read it again.

        Raises:
            StatementInterrupted: It may have been done: read the row again.
        """
        if not _storable(handle):
            return False
        parameters = {
            "p_handle": handle,
            "generation": generation,
            "now": now,
            "idle": idle_expires_at,
            "parents": int(overtaken),
        }
        return (await self._run(self._serve, parameters, swap=True)).rowcount == 1

    async def touch(self, handle: str, *, now: int, idle_expires_at: int, unless_since: int) -> None:
        """Note that a live session is in use, though its chain does not move.

        Args:
            handle: The session.
            now: ms.
            idle_expires_at: The new idle end, ms, at most the session's ``expires_at``.
            unless_since: ms. A session that was active so short a time ago is left alone: of many requests that
                refresh at once the first one writes.
        """
        if _storable(handle):
            values = {"p_handle": handle, "now": now, "idle": idle_expires_at, "unless_since": unless_since}
            await self._run(self._touch, values)

    async def revoke(self, handle: str, reason: str, now: int, *, user_id: bytes | None = None) -> bool:
        """End a session, or only one of this user's. False if it was not live, or not this user's."""
        if not _storable(handle):
            return False
        values: dict[str, Any] = {"p_handle": handle, "reason": reason, "now": now}
        if user_id is None:
            return (await self._run(self._revoke, values)).rowcount == 1
        return (await self._run(self._revoke_own, values | {"p_user_id": user_id})).rowcount == 1

    async def revoke_many(self, handles: Iterable[str], reason: str, now: int) -> int:
        """End these sessions, `REVOKE_BATCH` at most, and return how many of them were live."""
        unique = [handle for handle in dict.fromkeys(handles) if _storable(handle)]
        if not unique:
            return 0
        return (await self._run(self._revoke_many, {"handles": unique, "reason": reason, "now": now})).rowcount

    async def revoke_all(self, user_id: bytes, reason: str, now: int, *, except_handle: str | None = None) -> int:
        """End all of a user's sessions, or all but one; none of them where the user has more rows than `at_once`.

        Returns:
            How many were live. 0 says that none was, or that there are too many: see `count_of` and `revoke_part`.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "reason": reason, "now": now, "few": self.at_once}
        if except_handle is None or not _storable(except_handle):
            return (await self._run(self._revoke_all, values)).rowcount
        return (await self._run(self._revoke_others, values | {"except_handle": except_handle})).rowcount

    async def count_of(self, user_id: bytes, now: int, *, except_handle: str | None = None) -> int:
        """Return how many sessions a user has, ended ones too, or 0 if none is live, or none but one.

        At the strongest consistency.

        Args:
            user_id: Whose.
            now: ms.
            except_handle: The one that may be live.
        """
        values = {"p_user_id": user_id, "now": now, "except_handle": except_handle or ""}
        return int((await self._run(self._count_of, values, strong=True)).rows[0][0])

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
            parts: Of how many.
            except_handle: A session to keep.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "reason": reason, "now": now}
        values |= {"except_handle": except_handle or "", "first": _boundary(part, parts) if part else ""}
        if part == parts - 1:
            return (await self._run(self._revoke_last_part, values)).rowcount
        return (await self._run(self._revoke_part, values | {"beyond": _boundary(part + 1, parts)})).rowcount

    async def handles_of(self, user_id: bytes, now: int) -> list[str]:
        """Return the handles of a user's live sessions, newest first."""
        outcome = await self._run(self._handles_of, {"p_user_id": user_id, "now": now})
        return [handle for (handle,) in outcome.rows]

    async def list_of(
        self, user_id: bytes, now: int, *, limit: int = PAGE, after: tuple[int, str] | None = None
    ) -> list[SessionRow]:
        """Return a page of a user's live sessions, newest first.

        Args:
            user_id: Whose.
            now: ms.
            limit: How many at most.
            after: ``created_at`` and ``handle`` of the last one on the page before, which may have ended meanwhile.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "now": now, "size": limit}
        if after is None:
            outcome = await self._run(self._list_of, values)
        elif not _storable(after[1]):
            raise ValueError("a page begins after a handle of 1 to 32 printable ASCII characters")
        else:
            outcome = await self._run(self._list_older, values | {"created_at": after[0], "p_after": after[1]})
        return [SessionRow(*row) for row in outcome.rows]

    async def newest_of(self, user_id: bytes, now: int, *, limit: int, by_use: bool = False) -> list[tuple[str, int]]:
        """Return handles and times of creation of a user's newest live sessions, newest first.

        Args:
            user_id: As stored.
            now: ms.
            limit: How many at most.
            by_use: Those that were used last, the last used first.
        """
        statement = self._last_used_of if by_use else self._newest_of
        outcome = await self._run(statement, {"p_user_id": user_id, "now": now, "size": limit})
        return [(handle, created_at) for handle, created_at in outcome.rows]

    async def living(self, handles: Sequence[str], now: int) -> set[str]:
        """Return which of these sessions are live, at the strongest consistency: the others are to be ended."""
        outcome = await self._run(self._living, {"handles": list(handles), "now": now}, strong=True)
        return {handle for (handle,) in outcome.rows}

    async def get_info(self, handle: str, now: int) -> str | None:
        """Return a live session's info as it was stored; None if there is no such session."""
        if not _storable(handle):
            return None
        outcome = await self._run(self._get_info, {"p_handle": handle, "now": now})
        return str(outcome.rows[0][0]) if outcome.rows else None

    async def set_info(self, handle: str, text: str, now: int) -> bool:
        """Replace a live session's info. False if there is no such session."""
        if not _storable(handle):
            return False
        return (await self._run(self._set_info, {"p_handle": handle, "text": text, "now": now})).rowcount == 1

    async def set_payload(self, handle: str, text: str, now: int, *, version: int | None = None) -> bool:
        """Replace a live session's payload; its version grows by one. False if there is no such session.

        Args:
            handle: The session.
            text: The payload.
            now: ms.
            version: Only where this is the version of the payload that is there.
        """
        if not _storable(handle):
            return False
        values = {"p_handle": handle, "text": text, "now": now}
        if version is None:
            return (await self._run(self._set_payload, values)).rowcount == 1
        return (await self._run(self._swap_payload, values | {"version": version})).rowcount == 1

    async def purge(self, now: int, tombstones_before: int, limit: int | None = None) -> int:
        """Delete sessions that ended by time, and tombstones that nobody needs. Never a live session.

        In batches: keys are selected by index, then deleted by key, with the condition checked again.

        Args:
            now: ms. Never revoked sessions whose idle or absolute end is not later than this are deleted.
            tombstones_before: ms. Sessions revoked before this are deleted, expired or not; others are kept.
            limit: How many at most.

        Returns:
            How many were deleted.
        """
        count = 0
        values: dict[str, int] = {"now": now, "tombstones_before": tombstones_before}
        for keys, deletion in self._purgeable:
            while limit is None or count < limit:
                batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - count)
                handles: Sequence[str] = [
                    handle for (handle,) in (await self._run(keys, values | {"batch": batch})).rows
                ]
                if handles:
                    deleted = (await self._run(deletion, {**values, "handles": handles})).rowcount
                    count += deleted
                if len(handles) < batch:
                    break
        return count
