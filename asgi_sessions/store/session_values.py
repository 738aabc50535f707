"""What live sessions hold for the application, and how their users were authenticated: read, replaced, swapped.

The contract stands in ``repository``.
"""

from collections.abc import Sequence

from asgi_sessions.store.engine import Database
from asgi_sessions.store.personal_rows import PersonalRows
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.session_row import SessionRow, is_storable
from asgi_sessions.store.session_statements import ESCAPE, ChangeStatements, ReadStatements

__all__ = ["SessionValues"]


class SessionValues(PersonalRows):
    """The part of ``SessionRepository`` that knows info, payload and methods of authentication."""

    def __init__(self, database: Database, tables: Tables) -> None:
        super().__init__(database, tables)
        self._read = of_tables(ReadStatements, tables)
        self._change = of_tables(ChangeStatements, tables)

    async def get_info(self, handle: str, now: int, *, fresh: bool = False) -> str | None:
        """Return a live session's info as it was stored; None if there is no such session.

        Args:
            handle: The session.
            now: ms.
            fresh: Read at the strongest consistency that the engine offers.
        """
        if not is_storable(handle):
            return None
        outcome = await self._run(self._read.get_info, {"p_handle": handle, "now": now}, strong=fresh)
        return str(outcome.rows[0][0]) if outcome.rows else None

    async def infos_with(self, part: str, handles: Sequence[str], now: int) -> dict[str, str]:
        """Return the infos of those of these live sessions whose info, as it was stored, has this text in it.

        Args:
            part: The text.
            handles: The sessions, at most `LIVING_BATCH`.
            now: ms.
        """
        known = [handle for handle in handles if is_storable(handle)]
        if not known:
            return {}
        literally = "".join(ESCAPE + c if c in f"{ESCAPE}%_" else c for c in part)
        values = {"handles": known, "pattern": f"%{literally}%", "now": now}
        outcome = await self._run(self._read.infos_with, values)
        return {handle: str(text) for handle, text in outcome.rows}

    async def set_info(self, handle: str, text: str, now: int) -> bool:
        """Replace a live session's info. False if there is no such session."""
        if not is_storable(handle):
            return False
        values = {"p_handle": handle, "text": text, "now": now}
        return (await self._run(self._change.set_info, values, strong=True)).rowcount == 1

    async def swap_info(self, handle: str, text: str, now: int, *, replaced: str) -> bool:
        """Replace a live session's info where it still is the one that was read. False where it is not.

        Args:
            handle: The session.
            text: The new info.
            now: ms.
            replaced: The info as it was read, byte by byte.

        Raises:
            StatementInterrupted: It may have been done, and nobody can tell: others may have made the same change.
        """
        if not is_storable(handle):
            return False
        values = {"p_handle": handle, "text": text, "now": now, "replaced": replaced}
        return (await self._run(self._change.swap_info, values, swap=True)).rowcount == 1

    async def swap_payload(self, handle: str, text: str, now: int, *, version: int) -> bool:
        """Replace a live session's payload where it still is of this version. False where it is not.

        Args:
            handle: The session.
            text: The payload. Its version is one above that.
            now: ms.
            version: Of the payload that was read.

        Raises:
            StatementInterrupted: It may have been done.
        """
        if not is_storable(handle):
            return False
        values = {"p_handle": handle, "text": text, "now": now, "version": version}
        return (await self._run(self._change.swap_payload, values, swap=True)).rowcount == 1

    async def swap_own_payload(self, handle: str, text: str, now: int, *, version: int, known: int) -> bool:
        """As `swap_payload`, but not where somebody else has changed the payload since.

        A change is in ``payload_changes`` before it is in the row: whatever has led to the version that was read is
        there, on any engine and whatever the statement's snapshot.

        Args:
            handle: The session.
            text: The payload.
            now: ms.
            version: Of the payload that was read.
            known: Of the payload that the caller replaces: not where ``payload_changes`` has a later one.

        Raises:
            StatementInterrupted: It may have been done.
        """
        if not is_storable(handle):
            return False
        values = {"p_handle": handle, "text": text, "now": now, "version": version, "known": known}
        return (await self._run(self._change.swap_own_payload, values, swap=True)).rowcount == 1

    async def swap_methods(self, row: SessionRow, methods: str, now: int, *, auth_time: int) -> bool:
        """Replace a live session's methods of authentication; its payload's version grows by one.

        Args:
            row: The session as it was read. False where its methods or its payload have been changed since.
            methods: The new methods.
            now: ms.
            auth_time: When the user has last given a credential, ms.

        Raises:
            StatementInterrupted: It may have been done: read the row again.
        """
        if not is_storable(row.handle):
            return False
        values = {
            "p_handle": row.handle,
            "text": methods,
            "auth_time": auth_time,
            "now": now,
            "replaced": row.methods,
            "version": row.payload_version,
        }
        return (await self._run(self._change.swap_methods, values, swap=True)).rowcount == 1
