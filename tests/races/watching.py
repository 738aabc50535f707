"""Every statement of the store passes one place, `Database.run`: whoever watches it can hold a statement, or die there.

Who watches is a context variable, so that of several requests in one process each has its own watcher, and what is
nobody's (a start, an observer's look at the row) passes freely.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from unittest.mock import patch
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.engine import Engine

from asgi_sessions.store.engine import Database, Outcome

Kind = str
"""``read``, ``insert``, ``promote``, ``touch``, ``revoke``, ``delete`` or ``update``."""


class Watcher(Protocol):
    """Told of each statement of one task, before and after it."""

    async def before(self, kind: Kind) -> None: ...

    async def after(self, kind: Kind, outcome: Outcome) -> None: ...


watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched() -> Iterator[None]:
    """Let statements be watched: those of managers that are started inside the block. Once, however often entered."""
    run = Database.run
    if run.__name__ == "watched_run":
        yield
        return
    kinds: WeakKeyDictionary[Any, Kind] = WeakKeyDictionary()

    async def watched_run(
        self: Database, statement: Any, parameters: Mapping[str, Any] | None = None, **options: bool
    ) -> Outcome:
        watching = watcher.get()
        if watching is None:
            return await run(self, statement, parameters, **options)
        if statement not in kinds:  # compiling takes longer than running it
            kinds[statement] = kind_of(str(statement.compile(dialect=self.engine.dialect)))
        kind = kinds[statement]
        await watching.before(kind)
        outcome = await run(self, statement, parameters, **options)
        await watching.after(kind, outcome)
        return outcome

    with patch.object(Database, "run", watched_run):
        yield


def kind_of(statement: str) -> Kind:
    verb, _, rest = statement.partition(" ")
    if verb != "UPDATE":
        return {"SELECT": "read", "INSERT": "insert", "DELETE": "delete"}.get(verb, "update")
    changed = rest.partition(" WHERE ")[0]
    for column, kind in (("promoted_at", "promote"), ("revoked_at", "revoke"), ("last_active_at", "touch")):
        if column in changed:
            return kind
    return "update"


@contextmanager
def promotions() -> Iterator[list[int]]:
    """The row counts of all promotions that databases answer inside the block, whoever sends them."""
    counts: list[int] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if kind_of(statement) == "promote":
            counts.append(cursor.rowcount)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        yield counts
    finally:
        event.remove(Engine, "after_cursor_execute", note)
