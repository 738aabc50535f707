"""The tables at start: made once by whoever comes first, on every engine."""

import asyncio
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.operations import Operations
from alembic.operations.ops import OpContainer
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, text
from sqlalchemy.exc import OperationalError

import asgi_sessions.store.migrations as package
from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import REVISIONS, run, upgrade, version_table
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import DEFAULT_TABLE_PREFIX, build_tables, sessions_metadata
from tests.store.rows import session_row

UPGRADE = """
import asyncio, sys
import tests.patience
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import upgrade

async def main():
    database = await open_database(sys.argv[1])
    await upgrade(database)
    await database.close()
"""
UPGRADE_ONCE = f"{UPGRADE}\nasyncio.run(main())\nprint('alembic' in sys.modules)"
# Forked once all is imported, so that they really start together.
UPGRADE_IN_EIGHT_PROCESSES = f"""
import os
import aiosqlite, asyncmy, asyncpg, asgi_sessions.store.migrations.run
{UPGRADE}
for _ in range(8):
    if os.fork() == 0:
        asyncio.run(main())
        os._exit(0)
print([os.wait()[1] for _ in range(8)])
"""


def in_a_process(code: str, database_url: str) -> str:
    """Run the code with warnings as errors; return what it prints, its errors too."""
    command = [sys.executable, "-W", "error", "-c", code, database_url]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root, check=False)
    return done.stdout + done.stderr


async def differences(database: Database, metadata: MetaData, table_prefix: str = DEFAULT_TABLE_PREFIX) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        options = {
            "version_table": version_table(table_prefix).name,
            "include_name": lambda name, kind, _: kind != "table" or name.startswith(table_prefix),
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)


async def sessions_table(database: Database) -> Table:
    """The sessions with the columns that the database has."""
    table = Table(f"{DEFAULT_TABLE_PREFIX}sessions", MetaData())
    async with database.engine.connect() as connection:
        await connection.run_sync(lambda sync: inspect(sync).reflect_table(table, None))
    return table


async def table_names(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_the_migrated_tables_are_the_described_ones(bare: Database) -> None:
    await upgrade(bare)
    assert await differences(bare, sessions_metadata()) == []


async def test_a_second_start_changes_nothing(bare: Database) -> None:
    await upgrade(bare)
    sessions = SessionRepository(bare, build_tables())
    await sessions.insert(session_row())
    await upgrade(bare)
    assert await sessions.find("h1") is not None


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_sessions_of_earlier_revisions_go_on_and_their_workers_too(bare: Database, revision: str) -> None:
    await run.migrate(bare, DEFAULT_TABLE_PREFIX, revision=revision)
    older = await sessions_table(bare)
    values = {name: getattr(session_row(), name) for name in older.columns.keys()}  # noqa: SIM118 - no dict
    await bare.run(older.insert().values(values))
    await upgrade(bare)
    sessions = SessionRepository(bare, build_tables())
    assert await sessions.find("h1") == replace(session_row(), session_info=None)
    await bare.run(older.insert().values(values | {"handle": "h2"}))
    assert await sessions.find("h2") == replace(session_row("h2"), cur=values["cur"], session_info=None)
    assert await differences(bare, sessions_metadata()) == []


async def test_every_name_begins_with_the_prefix_and_two_prefixes_do_not_meet(bare: Database) -> None:
    await upgrade(bare, "one_")
    await upgrade(bare, "Two_")
    tables = [name.removeprefix(DEFAULT_TABLE_PREFIX) for name in sessions_metadata().tables]
    names = {f"{prefix}{name}" for prefix in ("one_", "Two_") for name in tables}
    found = {name.lower() for name in await table_names(bare)}
    assert found == {name.lower() for name in names | {"one_alembic_version", "Two_alembic_version"}}
    await SessionRepository(bare, build_tables("one_")).insert(session_row())
    assert await SessionRepository(bare, build_tables("Two_")).find("h1") is None


async def test_eight_processes_may_start_at_once(database_url: str) -> None:
    assert in_a_process(UPGRADE_IN_EIGHT_PROCESSES, database_url) == f"{[0] * 8}\n"
    database = await open_database(database_url)
    assert await differences(database, sessions_metadata()) == []
    await database.close()


async def test_eight_starts_within_one_process(database_url: str) -> None:
    databases = [await open_database(database_url) for _ in range(8)]
    await asyncio.gather(*(upgrade(database) for database in databases))
    assert await differences(databases[0], sessions_metadata()) == []
    for database in databases:
        await database.close()


def test_a_start_with_tables_up_to_date_does_not_import_alembic(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    assert in_a_process(UPGRADE_ONCE, url) == "True\n"
    assert in_a_process(UPGRADE_ONCE, url) == "False\n"


async def test_a_start_that_died_half_way_is_completed(bare: Database) -> None:
    # MySQL commits each DDL statement.
    sessions = build_tables().sessions
    sessions.indexes.clear()
    async with bare.engine.connect() as connection:
        await connection.run_sync(sessions.create)
    await upgrade(bare)
    assert await differences(bare, sessions_metadata()) == []


async def test_another_nodes_worker_may_be_faster(bare: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # GET_LOCK is local to a Galera node: the table is suddenly there.
    real = run.migrate

    async def overtaken(database: Database, table_prefix: str) -> None:
        await real(bare, table_prefix)
        raise OperationalError("CREATE TABLE", None, Exception(1050, "Table exists"))

    monkeypatch.setattr(run, "migrate", overtaken)
    await upgrade(bare)
    assert await differences(bare, sessions_metadata()) == []


async def test_a_database_that_refuses_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(database: Database, table_prefix: str) -> None:
        raise OperationalError("CREATE TABLE", None, Exception(1071, "canary"))

    monkeypatch.setattr(run, "migrate", refused)
    monkeypatch.setattr(package, "_jitter", lambda _a, _b: 0)
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    with pytest.raises(StoreUnavailable) as caught:
        await upgrade(database)
    assert str(caught.value.__cause__) == "builtins.Exception 1071"
    await database.close()


async def test_tables_of_a_newer_package_are_refused(bare: Database) -> None:
    await upgrade(bare)
    await bare.run(version_table(DEFAULT_TABLE_PREFIX).update().values(version_num="9999"))
    with pytest.raises(ConfigurationError, match="9999"):
        await upgrade(bare)


async def test_migrating_leaves_the_applications_logging_alone(
    bare: Database, caplog: pytest.LogCaptureFixture
) -> None:
    before = (logging.root.level, list(logging.root.handlers), logging.getLogger("an.application").disabled)
    with caplog.at_level(logging.WARNING):
        await upgrade(bare)
    assert (logging.root.level, list(logging.root.handlers), logging.getLogger("an.application").disabled) == before
    assert caplog.records == []


def test_the_known_revisions_are_the_scripts() -> None:
    scripts = ScriptDirectory(str(Path(run.__file__).parent))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]


async def test_an_application_may_have_its_own_alembic_make_the_tables(bare: Database) -> None:
    metadata = MetaData()
    Table("users", metadata, Column("id", Integer, primary_key=True))
    targets = [metadata, sessions_metadata()]

    def migrate(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"target_metadata": targets})
        operations = produce_migrations(context, targets).upgrade_ops  # type: ignore[arg-type]
        for operation in operations.ops if operations is not None else ():
            # The indexes of a table come as a group.
            for step in operation.ops if isinstance(operation, OpContainer) else [operation]:
                Operations(context).invoke(step)

    async with bare.engine.connect() as connection:
        await connection.run_sync(migrate)
    sessions = SessionRepository(bare, build_tables())
    await sessions.insert(session_row())
    assert await sessions.find("h1") is not None
    assert await differences(bare, sessions_metadata()) == []


async def test_the_lock_goes_with_its_connection(mariadb_url: str) -> None:
    database = await open_database(mariadb_url)
    await upgrade(database)
    name = run.lock_name(database.url.database or "", DEFAULT_TABLE_PREFIX)
    assert (await database.run(text(f"SELECT GET_LOCK('{name}', 4)"))).rows == [(1,)]
    await database.close()
