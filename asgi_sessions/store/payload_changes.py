"""Which payloads somebody else than the session's own response has changed: what the feed reads beside the tombstones.

What must hold
==============

*No change is missed.* ``changed_at`` is written as ``revoked_at`` is (``tombstones``). A row is written before the
payload that it speaks of: whoever has read it looks at the session, once too often at most.

*A row says that there is, or will be, a payload of this version or a later one.* It never says less than before, and
goes by its age alone, as tombstones do: by then no access token of before is good any more.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, delete, insert, select, update

from asgi_sessions.store.batches import delete_in_batches
from asgi_sessions.store.database_clock import database_now, greatest
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables, of_tables
from asgi_sessions.store.tombstones import revocation_clock

__all__ = ["PayloadChangeStore"]


class _Statements:
    """Those about changes of payloads."""

    def __init__(self, tables: Tables) -> None:
        changes = tables.payload_changes
        c = changes.c
        version = bindparam("version", type_=BigInteger)
        of_handle, now = c.handle == bindparam("p_handle"), greatest(database_now(), revocation_clock(tables))
        newest = case((c.payload_version > version, c.payload_version), else_=version)
        self.again = prepared(update(changes).where(of_handle).values(changed_at=now, payload_version=newest))
        self.insert = prepared(
            insert(changes).values(handle=bindparam("p_handle"), changed_at=now, payload_version=version)
        )
        forgotten: ColumnElement[bool] = c.changed_at < bindparam("before", type_=BigInteger)
        size = bindparam("batch", type_=BigInteger)
        self.forgotten = prepared(select(c.handle).where(forgotten).order_by(c.changed_at).limit(size))
        self.forget = delete(changes).where(c.handle.in_(bindparam("handles", expanding=True)), forgotten)


class PayloadChangeStore:
    """Writes changes, and deletes what nobody needs. Each is safe to repeat; failures as in ``SessionRepository``."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def note(self, handle: str, version: int) -> None:
        """Let all workers know that a session's payload is, or is about to be, of this version or a later one.

        Args:
            handle: The session.
            version: Its ``payload_version``.

        Raises:
            StoreUnavailable: They may or may not get to know.
        """
        values: dict[str, Any] = {"p_handle": handle, "version": version}
        if (await self._run(self._statements.again, values)).rowcount:
            return
        try:
            await self._run(self._statements.insert, values)
        except DuplicateKey:  # another worker's, or our own before the connection was lost
            await self._run(self._statements.again, values)

    async def purge(self, before: int) -> None:
        """Delete the changes that were made before this, ms; in batches, as ``SessionRepository.purge``."""
        await delete_in_batches(self._run, self._statements.forgotten, self._statements.forget, {"before": before})
