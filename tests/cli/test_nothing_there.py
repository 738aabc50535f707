"""No command but migrate makes a database, or tables: one that looks in the wrong place says so and leaves it alone."""

import argparse
import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from asgi_sessions.cli.program import _parser
from asgi_sessions.store.sqlite_place import file_of
from tests.cli.conftest import SECRET_KEY, Shell, log_in, tables_of

MANAGING = {
    "list": ["42"],
    "revoke": ["0123456789abcdef" * 2],
    "revoke-user": ["42"],
    "list-by": ["org", "acme"],
    "revoke-by": ["org", "acme"],
    "revoke-all": ["--yes"],
    "export-user": ["42"],
    "erase-user": ["42"],
    "notifications": [],
    "requeue-notifications": ["--all"],
    "drop-notifications": ["--all"],
    "purge": [],
}
HINT = "ASGI_SESSIONS_DATABASE_URL and ASGI_SESSIONS_TABLE_PREFIX"

every_command = pytest.mark.parametrize("command", MANAGING)


def tables_in(url: str) -> list[str]:
    async def names() -> list[str]:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            found = await connection.run_sync(lambda it: inspect(it).get_table_names())
        await engine.dispose()
        return found

    return asyncio.run(names())


def test_every_command_is_here_but_those_that_make_tables_or_open_none() -> None:
    (commands,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert {*commands.choices} == {*MANAGING, "check", "migrate"}


@every_command
def test_without_a_file_none_is_made(
    command: str, environment: Callable[..., None], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment()
    monkeypatch.chdir(tmp_path)  # where the application does not run
    done = shell(command, *MANAGING[command])
    assert (done.code, done.out) == (3, "")
    first, hint = done.err.splitlines()
    assert first == f"There is no database {tmp_path / 'sessions.db'}."
    assert HINT in hint
    assert not list(tmp_path.iterdir())
    assert shell("check").code == 1
    assert not list(tmp_path.iterdir())


@every_command
def test_without_tables_none_are_made(command: str, empty_database: str, shell: Shell) -> None:
    if (file := file_of(make_url(empty_database))) is not None:
        Path(file).touch()
    done = shell(command, *MANAGING[command])
    assert (done.code, done.out) == (3, "")
    first, hint = done.err.splitlines()
    assert first == f"There are no tables {tables_of(empty_database).removeprefix('the tables ')}."
    assert HINT in hint
    assert tables_in(empty_database) == []


@pytest.fixture
def tables_of_another_manager(database: str, environment: Callable[..., None]) -> str:
    log_in("42")
    environment(table_prefix="staff_")
    return database


@every_command
def test_another_managers_tables_are_not_the_ones(command: str, tables_of_another_manager: str, shell: Shell) -> None:
    before = tables_in(tables_of_another_manager)
    done = shell(command, *MANAGING[command])
    assert (done.code, done.out) == (3, "")
    where = tables_of(tables_of_another_manager, "staff_").removeprefix("the tables ")
    assert done.err.startswith(f"There are no tables {where}.\n")
    assert tables_in(tables_of_another_manager) == before


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("{folder}/sessions.db", "sessions.db"),
        ("file:{folder}/sessions.db?uri=true", "sessions.db"),
        ("file://localhost{folder}/sessions.db?uri=true&mode=rwc", "sessions.db"),
        ("file:{folder}/my%2520sessions.db?uri=true", "my sessions.db"),
        ("{folder}/missing/sessions.db", None),
    ],
)
def test_every_address_of_a_file_counts(
    address: str, file: str | None, environment: Callable[..., None], shell: Shell, tmp_path: Path
) -> None:
    environment(database_url=f"sqlite+aiosqlite:///{address.format(folder=tmp_path)}", secret_key=SECRET_KEY)
    done = shell("list", "42")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("There is no database ")
    assert not list(tmp_path.iterdir())
    if file is not None:
        assert shell("migrate").code == 0
        assert (tmp_path / file).exists()
        assert shell("list", "42").code == 1


@pytest.mark.parametrize("address", ["", "/:memory:", "/file::memory:?uri=true", "/file:x?mode=memory&uri=true"])
def test_a_database_in_memory_has_nobodys_sessions(
    address: str, environment: Callable[..., None], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment(database_url=f"sqlite+aiosqlite://{address}", secret_key=SECRET_KEY)
    done = shell("list", "42")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("There are no tables asgi_sessions_* of ")
    assert not list(tmp_path.iterdir())


def test_the_database_of_another_program_keeps_its_tables(
    environment: Callable[..., None], shell: Shell, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    url = f"sqlite+aiosqlite:///{tmp_path / 'theirs.db'}"
    environment(database_url=url, secret_key=SECRET_KEY)
    assert shell("revoke-all", "--yes").code == 3
    assert tables_in(url) == ["theirs"]
