"""Two managers of an application say the same: the log tells which one it was."""

import logging
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.settings import manager_log

MEMORY = "sqlite+aiosqlite://"
NAMED = "table_prefix staff_: "


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.name.startswith("asgi_sessions")]
    caplog.clear()
    return found


def staff(**settings: Any) -> SessionManager:
    return SessionManager(SessionSettings(database_url=MEMORY, table_prefix="staff_", **settings))


async def test_what_a_start_says_names_the_manager(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with staff(csrf="off"):
        lines = said(caplog)
    kinds = ["Sessions: ", "secret_key: none", "csrf: off", "Made signing key"]
    assert all(any(line.startswith(NAMED + kind) for line in lines) for kind in kinds), lines
    assert all(line.startswith(NAMED) for line in lines), lines


async def test_a_manager_of_the_default_name_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with SessionManager(SessionSettings(database_url=MEMORY)):
        lines = said(caplog)
    assert any(line.startswith("secret_key: none") for line in lines)
    assert not any("table_prefix " in line for line in lines)


async def test_what_a_manager_says_later_names_it(caplog: pytest.LogCaptureFixture) -> None:
    async def provide() -> str:
        raise OSError("no")

    manager = staff()
    for log in (manager.cross_site_log, manager.unavailable_log):
        log.say("Refused %s.", "100%")
    assert said(caplog) == [f"{NAMED}Refused 100%."] * 2
    async with staff() as started:
        said(caplog)
        await started.create_new_session_without_request("alice", idle_timeout=10**8)
        await started.revoke_all_sessions_for_user("alice")
        await started.create_new_session_without_request(1)
        await started.revoke_all_sessions_for_user("1")
    lines = said(caplog)
    assert len(lines) == 2
    assert all(line.startswith(NAMED) for line in lines), lines
    with pytest.raises(StoreUnavailable):
        await staff(signing_key_provider=provide).start()
    assert f"{NAMED}signing_key_provider failed." in said(caplog)


def test_the_loggers_name_and_level_stay(caplog: pytest.LogCaptureFixture) -> None:
    manager_log("asgi_sessions.manager.signing", SessionSettings(table_prefix="staff_")).error("%d%%", 5, exc_info=True)
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "asgi_sessions.manager.signing",
        logging.ERROR,
        f"{NAMED}5%",
    )
    assert record.funcName == "test_the_loggers_name_and_level_stay"
