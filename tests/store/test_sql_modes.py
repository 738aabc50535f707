"""Values come back whole, whatever sql_mode the server hands to its connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import Select, bindparam, select

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.cli import main
from asgi_sessions.errors import ConfigurationError
from asgi_sessions.protocol import user_id
from asgi_sessions.store import mysql_session
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.servers import MariaDB
from tests.store.rows import NOW, session_row

MODES = [
    "",
    "NO_BACKSLASH_ESCAPES",
    "NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
    "ORACLE,NO_BACKSLASH_ESCAPES",
    "PAD_CHAR_TO_FULL_LENGTH",
]
NAMES = ["O'Neill", "back\\slash", "ends in one\\", "'", '"quoted"', "\\'", "%s and :name", "nul\x00byte", "`tick`"]
SECRET = "0123456789abcdef0123456789abcdef-first"


@pytest.fixture(params=MODES)
def moded_url(request: pytest.FixtureRequest, mariadb: MariaDB, mariadb_url: str) -> Iterator[str]:
    """The address of an empty database on a server that gives this sql_mode to new connections."""
    [[before]] = mariadb.sql("SELECT @@GLOBAL.sql_mode")
    mariadb.sql(f"SET GLOBAL sql_mode = '{request.param}'")
    yield mariadb_url
    mariadb.sql(f"SET GLOBAL sql_mode = '{before}'")


@pytest.fixture
async def moded(moded_url: str) -> AsyncIterator[Database]:
    database = await open_database(moded_url)
    await upgrade(database)
    yield database
    await database.close()


async def test_names_come_back_whole_and_touch_one_user(moded: Database) -> None:
    sessions = SessionRepository(moded, build_tables())
    for number, name in enumerate(NAMES):
        row = session_row(
            f"h{number}",
            user_id=user_id.encode(name),
            cur=bytes(range(number, number + 32)),
            device_label=name,
            session_info=f'"{number}"',
            jwt_payload=name,
        )
        await sessions.insert(row)
        found = await sessions.find(f"h{number}")
        assert found is not None
        assert (found.user_id, found.cur, found.device_label, found.jwt_payload) == (
            user_id.encode(name),
            row.cur,
            name,
            name,
        )
    for number, name in enumerate(NAMES):
        assert await sessions.handles_of(user_id.encode(name), NOW) == [f"h{number}"]
        assert await sessions.set_info(f"h{number}", name, NOW)
        assert await sessions.get_info(f"h{number}", NOW) == name
        assert await sessions.revoke_all(user_id.encode(name), "logout_all", NOW) == 1
        left = [other for place, other in enumerate(NAMES) if place > number]
        assert [len(await sessions.handles_of(user_id.encode(other), NOW)) for other in left] == [1] * len(left)


@pytest.mark.parametrize("value", [bytes(range(256)), "".join(map(chr, range(1, 256))), b"'", "'", b"\\'", "\\"])
async def test_values_are_read_as_they_were_sent_prepared_or_not(moded: Database, value: Any) -> None:
    plain: Select[Any] = select(bindparam("value", value))
    compiled_once: Select[Any] = prepared(select(bindparam("value", value)))
    for statement in (plain, compiled_once):
        [[answer]] = (await moded.run(statement, {"value": value})).rows
        assert answer == value


def test_the_first_start_and_the_command_line_work(moded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", moded_url)
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", SECRET)

    async def log_in() -> None:
        async with SessionManager(SessionSettings()) as manager:
            for _ in range(3):  # keys and hashes are random bytes: half of them have something to escape
                await manager.create_new_session_without_request("O'Neill\\")

    asyncio.run(log_in())
    assert main(["migrate"]) == 0
    assert main(["revoke-user", "O'Neill"]) == 1
    assert main(["revoke-user", "O'Neill\\"]) == 0


@pytest.mark.parametrize("moded_url", ["NO_BACKSLASH_ESCAPES"], indirect=True)
async def test_a_mode_that_stays_is_refused_before_any_value_is_sent(
    moded_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = mysql_session.run

    def as_through_a_proxy_that_drops_it(connection: Any, statement: str) -> Any:
        return () if statement.startswith("SET SESSION sql_mode") else real(connection, statement)

    monkeypatch.setattr(mysql_session, "run", as_through_a_proxy_that_drops_it)
    manager = SessionManager(SessionSettings(database_url=moded_url, secret_key=SECRET))
    with pytest.raises(ConfigurationError, match="NO_BACKSLASH_ESCAPES"):
        await manager.start()
    with pytest.raises(ConfigurationError, match="sql_mode"):
        await manager.upgrade_database()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
