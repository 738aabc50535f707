"""Databases in memory get their tables by a script: Alembic takes longer than most tests that have one.

The script is what the migrations made the first time. Databases in files and on servers are migrated each by itself.
"""

import pytest

from asgi_sessions.store.engine import Database
from asgi_sessions.store.migrations import run

_made: dict[str, str] = {}
_migrate = run.migrate


async def migrate(database: Database, table_prefix: str, revision: str = "head") -> None:
    """Do as the package's own, for databases that are new."""
    memory = database._holder
    if memory is None or revision != "head" or memory.execute("SELECT 1 FROM sqlite_master").fetchall():
        await _migrate(database, table_prefix, revision)
    elif table_prefix in _made:
        memory.executescript(_made[table_prefix])
    else:
        await _migrate(database, table_prefix, revision)
        _made[table_prefix] = "\n".join(memory.iterdump())


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let starts do so."""
    monkeypatch.setattr(run, "migrate", migrate)
