"""export-user and erase-user, on every engine."""

import json
import uuid

import pytest

from asgi_sessions.protocol.user_id import UserId
from tests.cli.conftest import Shell, live, log_in, tables_of


def test_export_user_prints_json_for_programs(database: str, shell: Shell) -> None:
    handles = log_in("42", "42", "43")
    done = shell("export-user", "42")
    assert (done.code, done.err) == (0, "")
    sessions = json.loads(done.out)
    assert {session["session_handle"] for session in sessions} == set(handles[:2])
    assert {session["user_id"] for session in sessions} == {"42"}
    shell("revoke", handles[0])
    ended = {
        session["session_handle"]: session["revoked_reason"] for session in json.loads(shell("export-user", "42").out)
    }
    assert ended == {handles[0]: "logout", handles[1]: None}


def test_erase_user_ends_and_erases_all_sessions_of_one_user(database: str, shell: Shell) -> None:
    handles = log_in("42", "42", "43")
    shell("revoke", handles[0])
    done = shell("erase-user", "42")
    assert (done.code, done.out, done.err) == (0, "Erased 2 sessions of user '42'.\n", "")
    assert live("42", "43") == [handles[2]]
    done = shell("export-user", "42")
    assert (done.code, json.loads(done.out)) == (1, [])
    nothing = f"Nothing is kept about user '42' in {tables_of(database)}.\n"
    assert done.err == nothing
    done = shell("erase-user", "42")
    assert (done.code, done.out, done.err) == (1, "", nothing)


@pytest.mark.parametrize(
    ("user", "arguments"),
    [(42, ["42", "--id-type", "int"]), (uuid.UUID(int=42), [str(uuid.UUID(int=42)), "--id-type", "uuid"])],
)
def test_the_users_type_matters(user: UserId, arguments: list[str], sqlite: str, shell: Shell) -> None:
    log_in(user)
    for command in ("export-user", "erase-user"):
        done = shell(command, arguments[0])
        assert done.code == 1
        assert f"has 1: use --id-type {arguments[2]}." in done.err
    assert len(json.loads(shell("export-user", *arguments).out)) == 1
    assert shell("erase-user", *arguments).code == 0
    assert live(user) == []


@pytest.mark.parametrize("command", ["export-user", "erase-user"])
def test_what_cannot_be_a_user_is_refused(command: str, sqlite: str, shell: Shell) -> None:
    assert shell(command).code == 2
    assert shell(command, "x", "--id-type", "int").code == 2
    assert shell(command, "x" * 300).code == 2


def test_an_export_says_nothing_to_the_terminal(sqlite: str, shell: Shell) -> None:
    log_in("\x1b[2J\u00e9")
    done = shell("export-user", "\x1b[2J\u00e9")
    assert done.code == 0
    assert done.out.isascii()
    assert "\x1b" not in done.out
