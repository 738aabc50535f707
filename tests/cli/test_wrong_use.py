"""Mistakes, outages and odd input: a clear message, an exit code, no traceback and no secret."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.cli.conftest import SECRET_KEY, Shell, live, log_in
from tests.servers import free_port


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["list"],
        ["list", "42", "43"],
        ["list", "42", "--js"],
        ["list", "42", "--id-type", "float"],
        ["list", "4.2", "--id-type", "int"],
        ["list", "", "--id-type", "int"],
        ["list", "٤٢", "--id-type", "int"],
        ["list", "1" * 5000, "--id-type", "int"],
        ["list", "42", "--id-type", "uuid"],
        ["list", "x" * 10_000],
        ["list", "\udcff"],
        ["list", "42", "--limit", "0"],
        ["list", "42", "--limit", "1000"],
        ["list", "42", "--after", "yesterday"],
        ["revoke"],
        ["revoke-user", "42", "--except", "laptop"],
        ["revoke-user", "42", "--except", ""],
        ["revoke-by", "org"],
        ["revoke-by", "Org", "acme"],
        ["revoke-by", "org", "\udcff"],
        ["revoke-by", "org", "acme", "--except", "laptop"],
        ["revoke-by", "org", "acme", "--before", "2026-01-31"],
        ["list-by", "org", "acme", "--after", "yesterday"],
        ["list-by", "org" * 14, "acme"],
        ["revoke-all", "--yes", "--except", "laptop"],
        ["revoke-all", "--yes", "--before", "yesterday"],
        ["revoke-all", "--yes", "--before", "2026-01-31"],
        ["revoke-all", "--yes", "--before", "2026-01-31T12:00:00"],
        ["revoke-all", "--yes", "42"],
        ["notifications", "--limit", "0"],
        ["requeue-notifications", "laptop"],
        ["requeue-notifications", "--all", "--receiver", "two words"],
        ["requeue-notifications", "--all", "--receiver", "\udcff"],
        ["drop-notifications", "--all", "--receiver", "x" * 201],
        ["drop-notifications", "--all", "--receiver", ""],
        ["purge", "--limit", "0"],
        ["purge", "--limit", "-1"],
        ["purge", "--limit", "many"],
        ["migrate", "now"],
        ["x" * 10_000],
        ["\udcff\x1b[31m😀"],
        ["list", "42", "\udcff\x1b[31m😀"],
    ],
)
def test_wrong_arguments_are_told_shortly_and_end_with_2(arguments: list[str], sqlite: str, shell: Shell) -> None:
    done = shell(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "usage: asgi-sessions" in done.err
    assert len(done.err) < 1000
    assert "\x1b" not in done.err


def test_a_mistyped_session_to_keep_ends_nothing(sqlite: str, shell: Shell) -> None:
    handles = log_in("42")
    assert shell("revoke-user", "42", "--except", handles[0].upper()).code == 2
    assert live("42") == handles


def test_everybodys_sessions_end_only_where_it_is_said_that_it_is_meant(sqlite: str, shell: Shell) -> None:
    handles = log_in("42")
    done = shell("revoke-all")
    assert (done.code, done.out) == (2, "")
    assert "add --yes if it is meant" in done.err
    assert live("42") == handles


@pytest.mark.parametrize("handle", ["", "abc", "\0" * 32, "😀", "x" * 10_000, "\udcff", "A" * 32, " " + "a" * 32])
def test_what_is_no_handle_is_said_and_found_nowhere(handle: str, sqlite: str, shell: Shell) -> None:
    done = shell("revoke", handle)
    assert (done.code, done.out) == (1, "")
    assert "is no session handle" in done.err
    assert len(done.err) < 1000


def test_good_handles_beside_bad_ones_are_revoked(sqlite: str, shell: Shell) -> None:
    (handle,) = log_in("42")
    assert shell("revoke", "abc", handle).code == 0
    assert live("42") == []


@pytest.mark.parametrize("user", ["\0", "😀" * 63, "\x1b[31m", "\u202e", ""])
def test_an_odd_user_has_no_session_and_cannot_speak_to_the_terminal(user: str, sqlite: str, shell: Shell) -> None:
    done = shell("list", "--", user)
    assert done.code == 1
    assert done.err.rstrip("\n").isprintable()


@pytest.mark.parametrize("wanted", ["-h", "--help"])
def test_help_ends_with_0(wanted: str, shell: Shell) -> None:
    done = shell(wanted)
    assert done.code == 0
    assert "revoke-user" in done.out


@pytest.mark.parametrize("command", [["check"], ["list", "42"], ["migrate"], ["purge"]])
def test_all_wrong_settings_are_printed_at_once_without_their_values(
    command: list[str], sqlite: str, environment: Callable[..., None], shell: Shell
) -> None:
    environment(csrf="canary", idle_timeout="canary", cookie_samsite="canary")
    done = shell(*command)
    assert (done.code, done.out) == (2, "")
    for name in ("csrf", "idle_timeout", "ASGI_SESSIONS_COOKIE_SAMSITE"):
        assert f"{name}:" in done.err
    assert "canary" not in done.err


def test_a_wrong_secret_key_is_a_wrong_setting(sqlite: str, environment: Callable[..., None], shell: Shell) -> None:
    log_in("42")
    environment(secret_key="another-secret-key-of-at-least-32-bytes-canary")
    done = shell("list", "42")
    assert done.code == 2
    assert "secret_key" in done.err
    assert "canary" not in done.err


@pytest.mark.parametrize(
    "command",
    [["list", "42"], ["revoke", "a" * 32], ["revoke-user", "42"], ["revoke-all", "--yes"], ["purge"], ["migrate"]],
)
def test_a_database_that_is_down_ends_with_3(
    command: list[str], environment: Callable[..., None], shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"mysql+asyncmy://root:canary@127.0.0.1:{free_port()}/sessions"
    environment(database_url=url, secret_key=SECRET_KEY)
    done = shell(*command)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("The session store is unavailable: nothing listens on 127.0.0.1:")
    assert done.err.count("\n") == 1
    assert "canary" not in done.err + caplog.text


def test_a_folder_that_is_missing_is_told(environment: Callable[..., None], shell: Shell, tmp_path: Path) -> None:
    environment(database_url=f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'sessions.db'}")
    done = shell("list", "42")
    assert done.code in {2, 3}
    assert "Traceback" not in done.err


def test_check_prints_the_policy_and_no_secret(environment: Callable[..., None], shell: Shell) -> None:
    environment(
        database_url="mysql+asyncmy://app:canary@db.example:3307/shop", secret_key=SECRET_KEY, idle_timeout="3h"
    )
    done = shell("check")
    assert (done.code, done.err) == (0, "")
    policy = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert policy["idle_timeout"] == "3h"
    assert policy["database_url"] == "mysql+asyncmy://db.example:3307/shop"
    assert policy["secret_key"] == "set"
    assert "canary" not in done.out
    assert SECRET_KEY not in done.out


def test_check_warns_of_what_is_weaker_than_the_default(environment: Callable[..., None], shell: Shell) -> None:
    environment(csrf="off", cookie_secure="no")
    done = shell("check")
    assert done.code == 1
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        ["not for production", "secret_key"],
        ["not for production", "cookie_secure"],
        ["warning", "csrf"],
    ]
    assert "ASGI_SESSIONS_SECRET_KEY" in done.err


def test_check_takes_what_somebody_has_chosen(sqlite: str, environment: Callable[..., None], shell: Shell) -> None:
    environment(csrf="off", idle_timeout="15d")
    done = shell("check")
    assert done.code == 0
    assert [line.split(": ")[1] for line in done.err.splitlines()] == ["csrf", "idle_timeout"]
    assert "not for production" not in done.err


def test_check_names_a_misspelt_prefix(
    environment: Callable[..., None], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASGI_SESSION_SECRET_KEY", SECRET_KEY)
    done = shell("check")
    assert (done.code, done.out) == (2, "")
    assert done.err == "ASGI_SESSION_SECRET_KEY: no such variable; did you mean ASGI_SESSIONS_SECRET_KEY?\n"


def test_check_refuses_what_the_database_layer_would(environment: Callable[..., None], shell: Shell) -> None:
    environment(database_url="mysql+asyncmy://app:canary@db/shop?ssl=true", secret_key=SECRET_KEY)
    done = shell("check")
    assert (done.code, done.out) == (2, "")
    assert "ssl_ca" in done.err
    assert "canary" not in done.err


def test_check_opens_no_database(environment: Callable[..., None], shell: Shell, tmp_path: Path) -> None:
    environment(database_url=f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", secret_key=SECRET_KEY)
    assert shell("check").code == 0
    assert not list(tmp_path.iterdir())


def test_an_address_that_speaks_to_the_terminal_is_shown_escaped(sqlite: str, shell: Shell) -> None:
    import sqlite3

    log_in("42")
    with sqlite3.connect(str(make_url(sqlite).database)) as connection:
        connection.execute("UPDATE asgi_sessions_sessions SET ip_address = ?", ("\x1b[2J",))
    connection.close()
    done = shell("list", "42")
    assert "\\x1b[2J" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("command", [["list", "42"], ["revoke-user", "42"], ["list", "42", "--after", "yesterday"]])
@pytest.mark.parametrize("level", [logging.NOTSET, logging.ERROR])
def test_the_log_is_as_it_was_afterwards(level: int, command: list[str], sqlite: str, shell: Shell) -> None:
    log_in("42")
    loggers = [logging.getLogger(), logging.getLogger("asgi_sessions.audit")]
    loggers[1].setLevel(level)
    before = [(list(logger.handlers), logger.level) for logger in loggers]
    try:
        assert len(shell(*command).audit) == (command[0] == "revoke-user")
        assert [(logger.handlers, logger.level) for logger in loggers] == before
    finally:
        loggers[1].setLevel(logging.NOTSET)
