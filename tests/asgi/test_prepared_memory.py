"""The databases of these tests are those that the migrations make."""

import pytest

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import upgrade
from tests import prepared_memory


async def new_database(table_prefix: str) -> Database:
    database = await open_database("sqlite+aiosqlite://")
    await upgrade(database, table_prefix)
    return database


def dumped(database: Database) -> list[str]:
    assert database._holder is not None
    return list(database._holder.iterdump())


@pytest.mark.parametrize("table_prefix", ["asgi_sessions_", "theirs_"])
async def test_a_script_makes_the_tables_that_the_migrations_make(
    table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await new_database(table_prefix)).close()  # makes the script
    migrated: list[str] = []
    real = prepared_memory._migrate

    async def noted(database: Database, prefix: str, revision: str) -> None:
        migrated.append(prefix)
        await real(database, prefix, revision)

    monkeypatch.setattr(prepared_memory, "_migrate", noted)
    by_script = await new_database(table_prefix)
    assert migrated == []
    monkeypatch.setattr(prepared_memory, "_made", {})
    by_migrations = await new_database(table_prefix)
    assert migrated == [table_prefix]
    assert dumped(by_script) == dumped(by_migrations)
    assert f"CREATE TABLE {table_prefix}sessions" in "\n".join(dumped(by_script)).replace('"', "")
    for database in (by_script, by_migrations):
        await database.close()
