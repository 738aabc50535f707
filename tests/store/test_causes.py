"""What an error means in words, for what no server here can be made to say; and that no text of it gets through."""

import errno
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store.causes import Cause, diagnose, phrase
from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from asgi_sessions.store.failures import DatabaseFailure, in_full
from asgi_sessions.store.place import Place

MYSQL = Place.of(make_url("mysql+asyncmy://app:canary@db:3307/shop"))
POSTGRESQL = Place.of(make_url("postgresql+asyncpg://app:canary@db:5433/shop?ssl=verify-full"))
SQLITE = Place.of(make_url("sqlite+aiosqlite:////data/sessions.db"))


class Said(Exception):
    """A driver's error."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args)
        self.__dict__.update(attributes)


def mysql(code: int, cause: Exception | None = None) -> Exception:
    original = Said(code, "canary")
    original.__cause__ = cause
    return OperationalError("SELECT 'canary'", {"user": "canary"}, original)


def postgresql(state: str) -> Exception:
    return OperationalError("SELECT 'canary'", {}, Said("canary", sqlstate=state))


def sqlite(name: str) -> Exception:
    return OperationalError("SELECT 'canary'", {}, Said("canary", sqlite_errorname=name))


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "canary")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "place", "cause"),
    [
        (mysql(2003, OSError(errno.EHOSTUNREACH, "canary")), MYSQL, "no route to db:3307"),
        (OSError(errno.ENETUNREACH, "canary"), POSTGRESQL, "no route to db:5433"),
        (mysql(2003, TimeoutError()), MYSQL, "db:3307 does not answer in time"),
        (OSError(errno.ETIMEDOUT, "canary"), POSTGRESQL, "db:5433 does not answer in time"),
        (socket.gaierror(-3, "canary"), POSTGRESQL, "unknown host db"),
        (
            OSError("Multiple exceptions: [Errno 111] canary ('::1', 5433, 0, 0), [Errno 111] canary ('127.0.0.1', 1)"),
            POSTGRESQL,
            "nothing listens on db:5433",
        ),
        (mysql(1040), MYSQL, "db:3307 has as many connections as it takes"),
        (postgresql("53300"), POSTGRESQL, "db:5433 has as many connections as it takes"),
        (mysql(1053), MYSQL, "db:3307 is starting or stopping"),
        (postgresql("57P03"), POSTGRESQL, "db:5433 is starting or stopping"),
        (mysql(1130), MYSQL, "db:3307 does not take connections from this machine"),
        (mysql(1862), MYSQL, "the account of user app is locked, or its password has expired"),
        (mysql(3159), MYSQL, "db:3307 requires TLS"),
        (postgresql("28000"), POSTGRESQL, "db:5433 does not admit user app to database shop from here with TLS"),
        (postgresql("55000"), POSTGRESQL, "user app may not use database shop"),
        (mysql(1047), MYSQL, "db:3307 has lost the majority of its cluster, or leaves it"),
        (mysql(3797), MYSQL, "db:3307 has lost the majority of its cluster, or leaves it"),
        (mysql(1114), MYSQL, "db:3307 has no room left"),
        (postgresql("53100"), POSTGRESQL, "db:5433 has no room left"),
        (mysql(1205), MYSQL, "a statement took too long, or waited for a lock"),
        (postgresql("55P03"), POSTGRESQL, "a statement took too long, or waited for a lock"),
        (sqlite("SQLITE_FULL"), SQLITE, "/data/sessions.db has no room left"),
        (sqlite("SQLITE_BUSY_SNAPSHOT"), SQLITE, "another program holds a lock in /data/sessions.db"),
        (sqlite("SQLITE_READONLY_DBMOVED"), SQLITE, "/data/sessions.db is read-only"),
        (sqlite("SQLITE_CORRUPT"), SQLITE, "/data/sessions.db is no SQLite database, or is damaged"),
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), POSTGRESQL, None),
        (FileNotFoundError(errno.ENOENT, "canary"), POSTGRESQL, "a file that TLS needs can no longer be read"),
        (mysql(1317), MYSQL, ""),
        (RuntimeError("canary"), MYSQL, ""),
        (OSError("canary"), POSTGRESQL, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_becomes_a_phrase(error: Exception, place: Place, cause: str | None) -> None:
    if cause is None:
        cause = "the TLS handshake with db:5433 failed: TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert diagnose(error, place, connecting=True) == cause


@pytest.mark.parametrize(
    "error", [mysql(2003, OSError(errno.ECONNREFUSED, "canary")), mysql(2013), postgresql("08003")], ids=repr
)
def test_what_means_something_at_a_connect_means_nothing_on_a_connection(error: Exception) -> None:
    assert diagnose(error, MYSQL, connecting=True)
    assert diagnose(error, MYSQL) == ""


def test_a_right_that_is_missing_is_one_of_the_database_or_one_in_it() -> None:
    assert diagnose(postgresql("42501"), POSTGRESQL, connecting=True) == "user app may not use database shop"
    assert diagnose(postgresql("42501"), POSTGRESQL) == "user app lacks a right in database shop"


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("place", [MYSQL, POSTGRESQL, SQLITE])
def test_no_phrase_has_a_secret_or_a_gap(cause: Cause, place: Place) -> None:
    said = phrase(cause, place, "a detail")
    assert "canary" not in said
    assert "{" not in said


# -- places


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql+asyncmy://app:canary@db/shop", "server db:3306, user app, database shop"),
        ("mysql+asyncmy://db", "server db:3306, user of the operating system, database none"),
        ("mysql+asyncmy://app@/shop?unix_socket=/run/my.sock", "the socket /run/my.sock, user app, database shop"),
        ("mysql+asyncmy://app@[::1]:3307/shop?password=canary", "server [::1]:3307, user app, database shop"),
        ("postgresql+asyncpg://app:canary@/shop?host=a:1&host=b:2", "server a:1,b:2, user app, database shop"),
        ("postgresql+asyncpg://app:canary@/shop?host=/run/pg", "the socket /run/pg, user app, database shop"),
        ("postgresql+asyncpg:///", "server pg.example:5433, user ann, database hers"),
        ("sqlite+aiosqlite:////data/sessions.db", "/data/sessions.db"),
        ("sqlite+aiosqlite://", "the database in memory"),
        ("mysql+asyncmy://a%0Ab%1B[31m@db/shop", "server db:3306, user a\\nb\\x1b[31m, database shop"),
    ],
)
def test_a_place_shows_where_and_no_secret(url: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "pg.example", "PGPORT": "5433", "PGUSER": "ann", "PGDATABASE": "hers"}.items():
        monkeypatch.setenv(name, value)
    assert str(Place.of(make_url(url))) == shown


def test_a_relative_file_is_shown_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Place.of(make_url("sqlite+aiosqlite:///./sessions.db"))) == str(tmp_path / "sessions.db")


# -- sentences for a log


def test_a_sentence_has_the_cause_if_it_is_the_databases_own() -> None:
    def failing(cause: Exception | None, detail: str | None = None) -> StoreUnavailable:
        error = StoreUnavailable(detail)
        error.__cause__ = cause
        return error

    unavailable = "The session store is unavailable: "
    assert in_full(failing(None)) == "The session store is unavailable."
    assert in_full(failing(DatabaseFailure("x.Error", 5, "it rains"))) == f"{unavailable}it rains (x.Error 5)."
    assert in_full(failing(RuntimeError("canary"))) == f"{unavailable}builtins.RuntimeError."
    assert in_full(failing(RuntimeError("canary"), "The key is lost.")) == "The key is lost."


async def test_a_server_that_is_silent_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("mysql+asyncmy", "postgresql+asyncpg"):
            database = await open_database(f"{scheme}://app:canary@127.0.0.1:{port}/shop", statement_timeout=0.05)
            with pytest.raises(StoreUnavailable) as caught:
                await database.run(text("SELECT 1"))
            assert str(caught.value.__cause__) == f"127.0.0.1:{port} does not answer in time (timeout)"
            assert str(caught.value) == "The session store is unavailable."  # for whoever asks in a request
            await database.close()


async def test_a_statement_that_is_late_and_one_that_gets_no_connection_are_told_apart(on_mariadb: Database) -> None:
    await on_mariadb.run(text("SELECT 1"))
    usual, on_mariadb.statement_timeout = on_mariadb.statement_timeout, 0.05
    with pytest.raises(StoreUnavailable) as late:
        await on_mariadb.run(text("SELECT SLEEP(5)"))
    assert str(late.value.__cause__) == "a statement took too long, or waited for a lock (timeout)"
    async with AsyncExitStack() as all_in_use:
        for _ in range(POOL_SIZE):
            await all_in_use.enter_async_context(on_mariadb._slots)
        with pytest.raises(StoreUnavailable) as waiting:
            await on_mariadb.run(text("SELECT 1"))
    assert str(waiting.value.__cause__) == "all connections of this worker are in use (timeout)"
    on_mariadb.statement_timeout = usual  # what empties the tables may take its time
