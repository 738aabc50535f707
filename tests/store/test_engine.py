"""Which addresses are refused, and what an engine is."""

import asyncio
import builtins
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.store import connection_setup, engine
from asgi_sessions.store.address import engine_arguments, parse_database_url
from asgi_sessions.store.cancellation import Deadline
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.certificates import make_certificate
from tests.servers import MariaDB
from tests.store.rows import session_row

MYSQL = "mysql+asyncmy://user:canary@host/db"
POSTGRESQL = "postgresql+asyncpg://user:canary@host/db"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("canary", "not an SQLAlchemy URL"),
        ("mysql://user:canary@host/db", "must begin with"),
        ("mysql+aiomysql://user:canary@host/db", "must begin with"),
        ("sqlite:///canary.db", "must begin with"),
        (f"{MYSQL}?ssl=true", "ssl_ca"),
        (f"{MYSQL}?ssl=", "ssl without a value"),
        (f"{MYSQL}?ssl_cert=c.pem&ssl_key=k.pem", "ssl_ca"),
        (f"{MYSQL}?charset=utf8mb4&ssl_ca=", "ssl_ca without a value"),
        (f"{MYSQL}?read_timeout=5", "read_timeout"),
        (f"{POSTGRESQL}?ssl=true", "verify-full"),
        (f"{POSTGRESQL}?ssl=require", "verify-full"),
        (f"{POSTGRESQL}?ssl=", "ssl without a value"),
        (f"{POSTGRESQL}?sslmode=verify-full", "ssl="),
    ],
)
def test_an_unsafe_or_unusable_address_is_refused_without_repeating_it(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_database_url(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        MYSQL,
        f"{MYSQL}?ssl_ca=ca.pem",
        f"{MYSQL}?charset=utf8mb4&connect_timeout=3&ssl_capath=.&ssl_cert=ca.pem&ssl_key=ca.key",
        POSTGRESQL,
        f"{POSTGRESQL}?prepared_statement_cache_size=0&ssl=verify-full",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///file:sessions.db?mode=rwc&timeout=1&uri=true",
    ],
)
def test_a_good_address_is_taken(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    certificate, key = make_certificate(tmp_path)
    certificate.rename("ca.pem")
    key.rename("ca.key")
    monkeypatch.setenv("PGSSLROOTCERT", "ca.pem")
    assert parse_database_url(url) == make_url(url)


def test_mariadb_is_mysql() -> None:
    assert parse_database_url("mariadb+asyncmy://host/db").drivername == "mysql+asyncmy"


def test_a_password_is_sent_as_utf_8() -> None:
    arguments = engine_arguments(parse_database_url("mysql+asyncmy://user:p%C3%A4ss%E2%82%AC@host/db"))
    assert arguments["connect_args"]["password"] == "päss€".encode()


async def test_a_password_beyond_latin_1_opens_the_database(mariadb: MariaDB, mariadb_url: str) -> None:
    mariadb.sql(
        "SET NAMES utf8mb4; CREATE OR REPLACE USER zoe@'%' IDENTIFIED BY 'päss€😀'; GRANT ALL ON *.* TO zoe@'%'"
    )
    database = await open_database(mariadb_url.replace("root@", "zoe:p%C3%A4ss%E2%82%AC%F0%9F%98%80@"))
    assert (await database.run(text("SELECT 1"))).rows == [(1,)]
    await database.close()
    mariadb.sql("DROP USER zoe@'%'")


async def test_a_missing_driver_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_asyncmy(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "asyncmy":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_asyncmy)
    with pytest.raises(ConfigurationError, match=r"asgi-user-sessions\[mysql\]"):
        await open_database(MYSQL)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
async def test_a_database_in_memory_outlives_a_cancelled_statement(url: str) -> None:
    database = await open_database(url)
    await upgrade(database)
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    for _ in range(20):
        reading = asyncio.create_task(sessions.find("h1"))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await sessions.find("h1") is not None
    await database.close()


async def test_databases_in_memory_are_apart() -> None:
    first, second = await open_database("sqlite+aiosqlite://"), await open_database("sqlite+aiosqlite://")
    await upgrade(first)
    await SessionRepository(first, build_tables()).insert(session_row())
    await upgrade(second)
    assert await SessionRepository(second, build_tables()).find("h1") is None
    await first.close()
    await second.close()


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing"):
        await open_database(f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'sessions.db'}")


async def test_an_sqlite_file_is_the_owners_alone(tmp_path: Path) -> None:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    await upgrade(database)
    await SessionRepository(database, build_tables()).insert(session_row())
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    await database.close()


async def test_an_operation_has_five_seconds_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT_SECONDS", connection_setup.STATEMENT_TIMEOUT_SECONDS)
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    assert database.statement_timeout == 5
    await database.close()


async def test_sqlite_reads_beside_the_writer(tmp_path: Path) -> None:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", statement_timeout=4.5)
    pragmas = {"journal_mode": "wal", "busy_timeout": 4500, "synchronous": 1}
    for name, value in pragmas.items():
        assert (await database.run(text(f"PRAGMA {name}"))).rows == [(value,)]
    await database.close()


def test_use_on_another_event_loop_is_a_clear_error(tmp_path: Path) -> None:
    async def open_here() -> Any:
        return await open_database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")

    database = asyncio.run(open_here())
    with pytest.raises(ConfigurationError, match="event loop"):
        asyncio.run(database.run(text("SELECT 1")))


async def test_opening_a_connection_has_its_time_apart_from_the_statement(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From far away the driver's round trips, SQLAlchemy's and ours would use up the time of one statement."""
    renewed: list[int] = []
    monkeypatch.setattr(Deadline, "renew", lambda _: renewed.append(1))
    database = await open_database(database_url)
    await database.run(text("SELECT 1"))
    assert len(renewed) == 2
    await database.run(text("SELECT 1"))
    assert len(renewed) == 2
    await database.close()
