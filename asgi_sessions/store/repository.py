"""The sessions in the database: what a store must do, and the statements that do it.

The contract
============

*One operation is one autocommit statement*; ``purge``, ``export``, ``erase`` and ``forget_addresses`` go in batches.
On a cluster two more are around what must see all that was acknowledged: ``find(fresh=True)``, whatever ends or erases
sessions, and ``set_info``. A node that lags would say of a session that it has not got yet that there is none.
Nothing is read in order to be written but for a compare-and-swap, which decides every race. No statement ends more
than about `AT_ONCE` sessions: what it changes is in everybody's way until it is committed.

*Live* means: not revoked, and ``expires_at`` and ``idle_expires_at`` both later than ``now``. ``now`` is the
caller's clock in ms; ``revoked_at`` is the database's, since the workers that read the tombstones share no
other, and never below the revocation clock, since the database's nodes may not share one either
(``store/tombstones.py``).

*Absent is ordinary.* A handle that was never issued, of any length and any characters, gives None, False or
0, never an error; where no handle can look like it, not even a statement. Handles and user ids are compared
byte by byte.

*A tombstone is final.* ``revoke…`` writes ``revoked_at`` and never deletes; only ``purge`` removes a revoked row, by
its age. ``erase`` and ``forget_addresses`` take away what is personal in it; no other operation changes it. ``promote``
and ``revoke`` in any order leave the session revoked.

*The caller caps* ``idle_expires_at`` at ``expires_at``: finding the dead by index relies on it.

*Failures* (``store/failures.py``): lock conflicts and lost connections are dealt with here as far as that is
safe. What is left is ``StoreUnavailable``: nothing was decided. Only ``promote``, ``serve`` and ``swap_…`` raise
its subclass ``StatementInterrupted``: it may have been done, so read the row again. When a connection is lost in
mid-statement, the answer of a ``revoke…`` may leave out what the lost statement did; the effect is the same.
No error carries a value.
"""

from collections.abc import Sequence
from typing import Any

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.protocol.rotation import Lineage
from asgi_sessions.store.ending import REVOKE_BATCH
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.failures import DatabaseFailure
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.session_row import COLUMNS, ListedSession, SessionRow, is_storable
from asgi_sessions.store.session_statements import RotationStatements
from asgi_sessions.store.session_values import SessionValues

__all__ = ["LIVING_BATCH", "REVOKE_BATCH", "ListedSession", "SessionRepository", "SessionRow"]

LIVING_BATCH = 500
PAGE = 100
"""Of a list of sessions."""


class SessionRepository(SessionValues):
    """Every operation on sessions. See the module's text for what all of them promise."""

    def __init__(self, database: Database, tables: Tables) -> None:
        super().__init__(database, tables)
        self._rotation = of_tables(RotationStatements, tables)

    async def insert(self, row: SessionRow) -> None:
        """Store a new session.

        Raises:
            ValueError: The handle is not 1 to 32 printable ASCII characters, or ``session_info`` is None.
            StoreUnavailable: It may or may not be there; nobody holds its tokens.
        """
        if not is_storable(row.handle) or row.session_info is None:
            raise ValueError("a session needs a handle of 1 to 32 printable ASCII characters and an info")
        taken: DuplicateKey | None = None
        try:
            await self._run(self._change.insert, {name: getattr(row, name) for name in COLUMNS})
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
        if not is_storable(handle):
            return None
        outcome = await self._run(self._read.find, {"p_handle": handle}, strong=fresh)
        return SessionRow(*outcome.rows[0]) if outcome.rows else None

    async def list_of(
        self,
        user_id: bytes,
        now: int,
        *,
        limit: int = PAGE,
        after: tuple[int, str] | None = None,
        fresh: bool = False,
    ) -> list[SessionRow]:
        """Return a page of a user's live sessions, newest first.

        Args:
            user_id: The user.
            now: ms.
            limit: How many at most.
            after: ``created_at`` and ``handle`` of the last one on the page before, which may have ended meanwhile.
            fresh: Read at the strongest consistency: what is listed is to be ended.
        """
        values: dict[str, Any] = {"p_user_id": user_id, "now": now, "size": limit}
        if after is None:
            outcome = await self._run(self._read.list_of, values, strong=fresh)
        elif not is_storable(after[1]):
            raise ValueError("a page begins after a handle of 1 to 32 printable ASCII characters")
        else:
            values |= {"created_at": after[0], "p_after": after[1]}
            outcome = await self._run(self._read.list_older, values, strong=fresh)
        return [SessionRow(*row) for row in outcome.rows]

    async def newest_of(self, user_id: bytes, now: int, *, limit: int, by_use: bool = False) -> list[ListedSession]:
        """Return what counts of a user's newest live sessions, newest first; none in which somebody else acts.

        Args:
            user_id: The user's id in its stored form.
            now: ms.
            limit: How many at most.
            by_use: Those that were used last, the last used first.
        """
        statement = self._read.last_used_of if by_use else self._read.newest_of
        outcome = await self._run(statement, {"p_user_id": user_id, "now": now, "size": limit})
        return [ListedSession(*row) for row in outcome.rows]

    async def handles_of(self, user_id: bytes, now: int, *, fresh: bool = False) -> list[str]:
        """Return the handles of a user's live sessions, newest first; if `fresh`, at the strongest consistency."""
        outcome = await self._run(self._read.handles_of, {"p_user_id": user_id, "now": now}, strong=fresh)
        return [handle for (handle,) in outcome.rows]

    async def living(self, handles: Sequence[str], now: int) -> set[str]:
        """Return which of these sessions are live, at the strongest consistency: the others are to be ended."""
        outcome = await self._run(self._read.living, {"handles": list(handles), "now": now}, strong=True)
        return {handle for (handle,) in outcome.rows}

    async def touch(self, handle: str, *, now: int, idle_expires_at: int, unless_since: int) -> None:
        """Note that a live session is in use, though its chain does not move.

        Args:
            handle: The session.
            now: ms.
            idle_expires_at: The new idle end, ms, at most the session's ``expires_at``.
            unless_since: ms. A session that was active so short a time ago is left alone: of many requests that
                refresh at once the first one writes.
        """
        if is_storable(handle):
            values = {"p_handle": handle, "now": now, "idle": idle_expires_at, "unless_since": unless_since}
            await self._run(self._change.touch, values)

    async def promote(
        self,
        handle: str,
        lineage: Lineage,
        *,
        now: int,
        idle_expires_at: int | None,
        sibling_window: int,
        served: bool = False,
    ) -> bool:
        """Make the presented child the current token. True for exactly one of any number of callers.

        Args:
            handle: The session.
            lineage: The child's, with hashes as stored.
            now: ms.
            idle_expires_at: The new idle end, ms, at most the session's ``expires_at``; None for a request that does
                not extend the session: the row keeps its own, and when it was last active.
            sibling_window: ms; see ``rotation.Windows``.
            served: Whether the child's request is served without tokens, which the row is to note.

        Returns:
            False if the row has moved on, is revoked or expired: read it again.

        Raises:
            StatementInterrupted: It may have been done: read the row again.
        """
        if not is_storable(handle):
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
        }
        rotation = self._rotation
        if idle_expires_at is None:
            statement = rotation.promote_and_serve_in_background if served else rotation.promote_in_background
        else:
            statement = rotation.promote_and_serve if served else rotation.promote
            parameters["idle"] = idle_expires_at
        return (await self._run(statement, parameters, swap=True)).rowcount == 1

    async def serve(
        self, handle: str, generation: int, *, now: int, idle_expires_at: int | None, overtaken: bool
    ) -> bool:
        """Note that the session is served without tokens at this generation. True for one of any number of callers.

        Args:
            handle: The session.
            generation: The row's.
            now: ms.
            idle_expires_at: As for `promote`.
            overtaken: Whether it is an overtaken parent that is served, which counts.

        Returns:
            False if it has been noted, or the row has moved on, is revoked or expired: read it again.

        Raises:
            StatementInterrupted: It may have been done: read the row again.
        """
        if not is_storable(handle):
            return False
        parameters = {"p_handle": handle, "generation": generation, "now": now, "parents": int(overtaken)}
        if idle_expires_at is None:
            return (await self._run(self._rotation.serve_in_background, parameters, swap=True)).rowcount == 1
        parameters["idle"] = idle_expires_at
        return (await self._run(self._rotation.serve, parameters, swap=True)).rowcount == 1
