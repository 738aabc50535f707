"""What is remembered for a while, by kind and digest: logouts of elsewhere, and messages that have been taken in.

What must hold
==============

*Of any number of callers exactly one writes a mark.* So a message that comes twice has its effect once.

*A mark is seen by whoever asks after it was written*, on any node (``Database.run``, strong).
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, and_, bindparam, delete, insert, select

from asgi_sessions.protocol.session_index import Entry
from asgi_sessions.store.batches import delete_in_batches
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables, of_tables

__all__ = ["MarkStore"]


class _Statements:
    """Those about marks."""

    def __init__(self, tables: Tables) -> None:
        marks = tables.marks
        m = marks.c
        until = bindparam("until", type_=BigInteger)
        of_mark = and_(m.kind == bindparam("kind"), m.digest == bindparam("p_digest"))
        self.insert = prepared(insert(marks).values(kind=bindparam("kind"), digest=bindparam("p_digest"), until=until))
        self.find = prepared(select(m.until).where(of_mark))
        over = m.until <= until
        size = bindparam("batch", type_=BigInteger)
        self.over = prepared(select(m.digest).where(over).order_by(m.until).limit(size))
        self.forget = delete(marks).where(m.digest.in_(bindparam("handles", expanding=True)), over)


class MarkStore:
    """Writes, finds and forgets marks. Failures as in ``SessionRepository``."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def write(self, mark: Entry, until: int) -> bool:
        """Remember this until then, ms. False if it is remembered already, and not by this very call."""
        kind, digest = mark
        try:
            await self._run(self._statements.insert, {"kind": kind, "p_digest": digest, "until": until})
        except DuplicateKey as error:
            return error.after_interruption
        return True

    async def has_any(self, marks: Sequence[Entry], now: int) -> bool:
        """Whether one of these is remembered at this time, ms, at the strongest consistency."""
        for kind, digest in marks:
            outcome = await self._run(self._statements.find, {"kind": kind, "p_digest": digest}, strong=True)
            if any(until > now for (until,) in outcome.rows):
                return True
        return False

    async def purge(self, now: int) -> int:
        """Forget what was to be remembered until this time at the latest, ms; in batches; return how many."""
        return await delete_in_batches(self._run, self._statements.over, self._statements.forget, {"until": now})
