"""Only the first new SQLite database of a process is made by Alembic; the next ones are the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import REVISIONS, run, upgrade
from asgi_sessions.store.schema import PREFIXES


@pytest.fixture
def upgrades(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The revisions to which Alembic was called to upgrade; it has made no new database yet."""
    called: list[str] = []
    real = command.upgrade

    def noted(config: object, revision: str) -> None:
        called.append(revision)
        real(config, revision)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "upgrade", noted)
    monkeypatch.setattr(run, "_made", {})
    return called


async def made(path: Path, table_prefix: str = "asgi_sessions_") -> list[str]:
    """What is in a new database: its definitions and rows, in their order."""
    database = await open_database(f"sqlite+aiosqlite:///{path}")
    try:
        await upgrade(database, table_prefix)
    finally:
        await database.close()
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


async def in_memory() -> list[str]:
    database = await open_database("sqlite+aiosqlite://")
    await upgrade(database)
    assert database._holder is not None
    content = list(database._holder.iterdump())
    await database.close()
    return content


@pytest.mark.parametrize("table_prefix", ["asgi_sessions_", "Theirs_"])
async def test_the_second_one_is_like_the_first(table_prefix: str, tmp_path: Path, upgrades: list[str]) -> None:
    first = await made(tmp_path / "1.db", table_prefix)
    second = await made(tmp_path / "2.db", table_prefix)
    assert upgrades == ["head"]
    assert second == first
    assert f"{table_prefix}sessions" in "".join(first)
    assert f"VALUES('{REVISIONS[-1]}')" in "".join(first)


async def test_each_prefix_has_tables_of_its_own(tmp_path: Path, upgrades: list[str]) -> None:
    one, other = await made(tmp_path / "1.db"), await made(tmp_path / "2.db", "theirs_")
    assert upgrades == ["head", "head"]
    assert [line.replace("asgi_sessions_", "theirs_") for line in one] == other


async def test_so_it_is_in_memory(tmp_path: Path, upgrades: list[str]) -> None:
    file = await made(tmp_path / "1.db")
    assert await in_memory() == file
    assert upgrades == ["head"]


async def test_a_database_that_has_anything_is_left_to_alembic(tmp_path: Path, upgrades: list[str]) -> None:
    first = await made(tmp_path / "1.db")
    with closing(sqlite3.connect(tmp_path / "2.db")) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    both = await made(tmp_path / "2.db")
    assert upgrades == ["head", "head"]
    assert set(both) - set(first) == {"CREATE TABLE users (id INTEGER);"}


async def test_an_older_revision_is_never_made_by_heart(tmp_path: Path, upgrades: list[str]) -> None:
    await made(tmp_path / "1.db")
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / '2.db'}")
    await run.migrate(database, "asgi_sessions_", revision=REVISIONS[0])
    await upgrade(database)
    await database.close()
    assert upgrades == ["head", REVISIONS[0], "head"]


async def test_a_start_that_failed_leaves_nothing_to_go_by(
    tmp_path: Path, upgrades: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(config: object, revision: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", failing)
        with pytest.raises(RuntimeError):
            await made(tmp_path / "1.db")
    await made(tmp_path / "1.db")
    assert upgrades == ["head"]


async def test_a_bounded_number_of_prefixes_is_known_by_heart(tmp_path: Path, upgrades: list[str]) -> None:
    for number in range(PREFIXES + 2):
        await made(tmp_path / f"{number}.db", f"p{number}_")
    assert len(run._made) == PREFIXES
    assert await made(tmp_path / "again.db", "p0_") == await made(tmp_path / "once_more.db", "p0_")
    assert len(upgrades) == PREFIXES + 2
