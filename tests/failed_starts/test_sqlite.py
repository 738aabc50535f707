"""A start that fails on a file says which and why."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asgi_sessions import ConfigurationError, StoreUnavailable
from asgi_sessions.store.migrations import run
from tests.failed_starts.conftest import FailToStart

URL = "sqlite+aiosqlite:///"
UNAVAILABLE = "The session store is unavailable: "


async def test_the_folder_is_missing(fail: FailToStart, tmp_path: Path) -> None:
    failure = await fail(f"{URL}{tmp_path / 'nowhere' / 'sessions.db'}")
    assert type(failure.error) is ConfigurationError
    assert str(failure.error) == f"database_url: the folder {tmp_path / 'nowhere'} does not exist"


@pytest.mark.parametrize("path", ["/proc/sessions.db", "/proc"])  # where not even root may write; a folder
async def test_the_file_cannot_be_opened(path: str, fail: FailToStart) -> None:
    failure = await fail(f"{URL}{path}")
    assert type(failure.error) is StoreUnavailable
    assert str(failure.error) == (
        f"{UNAVAILABLE}cannot open {path}: this process may not read or write it or its folder, or it is a folder "
        "(sqlite3.OperationalError SQLITE_CANTOPEN)."
    )


async def test_the_file_is_read_only(fail: FailToStart, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    failure = await fail(f"{URL}file:{tmp_path / 'sessions.db'}?mode=ro&uri=true")
    assert f"{UNAVAILABLE}file:{tmp_path / 'sessions.db'} is read-only (" in str(failure.error)


async def test_the_file_is_no_database(fail: FailToStart, tmp_path: Path) -> None:
    (tmp_path / "sessions.db").write_text("no database" * 100)
    failure = await fail(f"{URL}{tmp_path / 'sessions.db'}")
    assert f"{UNAVAILABLE}{tmp_path / 'sessions.db'} is no SQLite database, or is damaged (" in str(failure.error)


async def test_another_program_holds_the_file(
    fail: FailToStart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOCK_WAIT_SECONDS", 0.01)
    with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        failure = await fail(f"{URL}{tmp_path / 'sessions.db'}")
    assert f"{UNAVAILABLE}another program holds a lock in {tmp_path / 'sessions.db'} (" in str(failure.error)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"{URL}sessions.db?colour=red", "unknown URL parameter colour"),
        (f"{URL}sessions.db?mode=ro", "unknown URL parameter mode; it needs uri=true beside it"),
    ],
)
async def test_a_parameter_that_nothing_reads_is_refused(url: str, problem: str, fail: FailToStart) -> None:
    failure = await fail(url)
    assert type(failure.error) is ConfigurationError
    assert str(failure.error).startswith(f"database_url: {problem}")
