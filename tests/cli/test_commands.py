"""What an administrator can do, on every engine."""

import itertools
import json
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from asgi_sessions.manager.listing import SessionLists
from asgi_sessions.protocol.user_id import UserId
from tests.cli.conftest import Shell, act, live, log_in, tables_of

UNKNOWN = "0123456789abcdef" * 2
LONG_AGO = time.time_ns() // 1_000_000 - 200 * 24 * 3600 * 1000


def test_list_shows_the_sessions_of_one_user(database: str, shell: Shell) -> None:
    first, second, other = log_in("42", "42", "43")
    done = shell("list", "42")
    assert (done.code, done.err) == (0, "")
    heading, *lines = done.out.splitlines()
    assert heading.startswith("SESSION HANDLE")
    assert {line.split()[0] for line in lines} == {first, second}
    assert other not in done.out


def test_list_as_json_tells_everything_and_no_secret(database: str, shell: Shell) -> None:
    (handle,) = log_in("42")
    done = shell("list", "42", "--json")
    assert done.code == 0
    (record,) = json.loads(done.out)
    assert set(record) == {
        "session_handle",
        "user_id",
        "device_label",
        "ip_address",
        "created_at",
        "last_active_at",
        "expires_at",
        "actor",
    }
    assert (record["session_handle"], record["user_id"]) == (handle, "42")
    age = datetime.now().astimezone() - datetime.fromisoformat(record["created_at"])
    assert abs(age) < timedelta(minutes=5)


def test_list_shows_pages_and_says_how_to_go_on(database: str, shell: Shell) -> None:
    handles = log_in("42", "42", "42")
    done = shell("list", "42", "--limit", "2")
    assert done.code == 0
    assert "There are more: --limit 2 --after " in done.err
    first = [line.split()[0] for line in done.out.splitlines()[1:]]
    done = shell("list", "42", "--json", *done.err.split(":", 1)[1].split())
    assert (done.code, done.err) == (0, "")
    assert {*first, *(record["session_handle"] for record in json.loads(done.out))} == set(handles)
    assert len(first) == 2


def test_list_finds_nothing_for_a_user_without_sessions(database: str, shell: Shell) -> None:
    done = shell("list", "42")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"User '42' has no live session in {tables_of(database)}.\n"


def test_list_as_json_is_json_even_if_it_finds_nothing(database: str, shell: Shell) -> None:
    done = shell("list", "42", "--json")
    assert (done.code, json.loads(done.out)) == (1, [])


@pytest.mark.parametrize(
    ("user", "arguments"),
    [
        ("42", ["42"]),
        (42, ["42", "--id-type", "int"]),
        (uuid.UUID(int=42), ["00000000-0000-0000-0000-00000000002A", "--id-type", "uuid"]),
        ("a\0b \tjürgen 😀", ["a\0b \tjürgen 😀"]),
    ],
)
def test_the_users_type_is_said_and_matters(user: UserId, arguments: list[str], database: str, shell: Shell) -> None:
    handle, _ = log_in(user, "42" if user != "42" else 42)
    (record,) = json.loads(shell("list", "--json", *arguments).out)
    assert record["session_handle"] == handle
    assert record["user_id"] == (user if isinstance(user, str | int) else str(user))


UUID = "0000000f-0000-4000-8000-00000000002a"


@pytest.mark.parametrize(
    ("user", "arguments", "hint"),
    [
        (42, ["42"], "User 42 (int) has 2: use --id-type int."),
        ("42", ["42", "--id-type", "int"], "User '42' (str) has 2: use --id-type str."),
        (uuid.UUID(UUID), [UUID], f"User {UUID} (uuid) has 2: use --id-type uuid."),
        (uuid.UUID(UUID), [UUID.upper()], f"User {UUID} (uuid) has 2: use --id-type uuid."),
        (UUID, [UUID, "--id-type", "uuid"], f"User '{UUID}' (str) has 2: use --id-type str."),
        (UUID, [UUID.upper()], f"User '{UUID}' (str) has 2: write it so."),
        (-7, ["--", "-7"], "User -7 (int) has 2: use --id-type int."),
    ],
)
def test_a_user_of_another_type_is_named(
    user: UserId, arguments: list[str], hint: str, database: str, shell: Shell
) -> None:
    handles = log_in(user, user)
    for command in ("list", "revoke-user"):
        done = shell(command, *arguments)
        assert (done.code, done.out) == (1, "")
        first, second = done.err.splitlines()
        assert first.endswith(f"has no live session in {tables_of(database)}.")
        assert second == hint
    assert sorted(live(user)) == sorted(handles)


def test_a_user_of_another_type_is_named_where_sessions_were_found_too(database: str, shell: Shell) -> None:
    first, kept, _ = log_in("42", "42", 42)
    hint = "User 42 (int) has 1: use --id-type int.\n"
    assert shell("list", "42", "--limit", "2").err == hint
    done = shell("revoke-user", "42", "--except", kept)
    assert (done.code, done.out, done.err) == (0, "Revoked 1 session of user '42'.\n", hint)
    assert first not in live("42")


def test_revoke_user_looks_for_namesakes_once(sqlite: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    looks_for, asked = SessionLists.namesakes_of, []

    async def counts(lists: SessionLists, owner: UserId) -> list[tuple[UserId, int]]:
        asked.append(owner)
        return await looks_for(lists, owner)

    monkeypatch.setattr(SessionLists, "namesakes_of", counts)
    log_in(42)
    assert shell("revoke-user", "42").code == 1
    assert asked == ["42"]


@pytest.mark.parametrize("arguments", [["-42", "--id-type", "int"], ["--id-type", "int", "--", "-42"]])
def test_a_negative_number_is_a_user_too(arguments: list[str], sqlite: str, shell: Shell) -> None:
    (handle,) = log_in(-42)
    assert handle in shell("list", *arguments).out


def test_revoke_ends_one_session(database: str, shell: Shell) -> None:
    first, second = log_in("42", "42")
    done = shell("revoke", first)
    assert (done.code, done.out, done.err) == (0, "Revoked 1 session.\n", "")
    assert live("42") == [second]


def test_revoke_ends_several_sessions_and_tells_of_those_it_did_not_find(database: str, shell: Shell) -> None:
    first, second, third = log_in("42", "43", "44")
    done = shell("revoke", first, second, first, UNKNOWN)
    assert (done.code, done.out) == (0, "Revoked 2 sessions.\n")
    assert done.err == f"1 session not found, or no longer live, in {tables_of(database)}.\n"
    assert live("42", "43", "44") == [third]


def test_revoke_finds_no_session_twice(database: str, shell: Shell) -> None:
    (handle,) = log_in("42")
    assert shell("revoke", handle).code == 0
    done = shell("revoke", handle)
    assert (done.code, done.out) == (1, "")


def test_revoke_user_ends_all_of_one_users_sessions(database: str, shell: Shell) -> None:
    *_, other = log_in("42", "42", 42)
    done = shell("revoke-user", "42")
    assert (done.code, done.out) == (0, "Revoked 2 sessions of user '42'.\n")
    assert live("42", 42) == [other]


def test_revoke_user_keeps_the_session_that_it_is_told_to(database: str, shell: Shell) -> None:
    keep, _ = log_in("42", "42")
    assert shell("revoke-user", "42", "--except", keep).code == 0
    assert live("42") == [keep]
    done = shell("revoke-user", "42", "--except", keep)
    assert done.code == 1
    assert done.err == f"User '42' has no other live session in {tables_of(database)}.\n"


def test_revoke_user_finds_nothing_for_a_user_without_sessions(database: str, shell: Shell) -> None:
    assert shell("revoke-user", "42").code == 1


def test_list_says_who_acts_where_somebody_does(database: str, shell: Shell) -> None:
    (own,) = log_in("alice")
    assert "ACTOR" not in shell("list", "alice").out
    _, by_name = act("admin", "alice")
    _, by_number = act(7, "alice")
    heading, *lines = shell("list", "alice").out.splitlines()
    assert heading.endswith("EXPIRES               ACTOR")
    assert {line.split()[0]: line.split()[-1] for line in lines} == {own: "-", by_name: "'admin'", by_number: "7"}


def test_revoke_user_ends_the_sessions_in_which_the_user_acts_where_it_is_told_to(database: str, shell: Shell) -> None:
    own, as_alice, as_bob = act("admin", "alice", "bob")
    _, by_another = act("another", "alice")
    assert shell("revoke-user", "admin").out == "Revoked 1 session of user 'admin'.\n"
    assert sorted(live("alice", "bob")) == sorted([as_alice, as_bob, by_another])
    done = shell("revoke-user", "admin", "--acting", "--except", as_bob)
    assert (done.code, done.out) == (0, "Revoked 1 session of user 'admin', or in which that user acts.\n")
    assert sorted(live("admin", "alice", "bob")) == sorted([as_bob, by_another])
    assert shell("revoke-user", "admin", "--acting").code == 0
    done = shell("revoke-user", "admin", "--acting")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"User 'admin' has, and acts in, no live session in {tables_of(database)}.\n"
    assert live("alice") == [by_another]
    assert own not in live("admin")


def test_revoke_all_ends_everybodys_sessions(database: str, shell: Shell) -> None:
    keep, *_ = log_in("42", "42", 42, "43")
    done = shell("revoke-all", "--yes", "--except", keep)
    assert (done.code, done.out, done.err) == (0, "Revoked 3 sessions.\n", "")
    assert live("42", 42, "43") == [keep]
    assert shell("revoke-all", "--yes").out == "Revoked 1 session.\n"
    done = shell("revoke-all", "--yes")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"Nobody is logged in: no live session in {tables_of(database)}.\n"
    for only in (["--except", keep], ["--before", "2026-01-31T12:00:00Z"]):
        done = shell("revoke-all", "--yes", *only)
        assert (done.code, done.out) == (1, "")
        assert done.err == f"There is no such live session in {tables_of(database)}.\n"


def test_revoke_all_before_a_time_ends_those_that_began_earlier(database: str, shell: Shell) -> None:
    now = time.time_ns() // 1_000_000
    log_in("42", clock=lambda: now - 120_000)
    (late,) = log_in("42", clock=lambda: now)
    moment = datetime.fromtimestamp(now / 1000 - 60, timezone(timedelta(hours=5))).isoformat()
    assert shell("revoke-all", "--yes", "--before", moment).out == "Revoked 1 session.\n"
    assert live("42") == [late]


def test_revoke_all_tells_how_far_it_has_come(database: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(*(f"{number}" for number in range(40)))
    monkeypatch.setattr("asgi_sessions.store.ending.AT_ONCE", 10)
    monkeypatch.setattr("asgi_sessions.store.ending.AT_ONCE_SQLITE", 10)
    monkeypatch.setattr("asgi_sessions.cli.sessions._TOLD_EACH", 10)
    done = shell("revoke-all", "--yes")
    assert (done.code, done.out) == (0, "Revoked 40 sessions.\n")
    told = [int(line.removesuffix(" sessions so far.")) for line in done.err.splitlines()]
    assert told
    assert all(later - earlier >= 10 for earlier, later in itertools.pairwise([0, *told]))


def test_purge_deletes_what_has_ended_and_nothing_else(database: str, shell: Shell) -> None:
    log_in("42", "42", clock=lambda: LONG_AGO)
    (alive,) = log_in("42")
    assert shell("purge", "--limit", "1").out == "Deleted 1 session that had ended.\n"
    assert shell("purge").out == "Deleted 1 session that had ended.\n"
    done = shell("purge")
    assert (done.code, done.out) == (0, "Deleted 0 sessions that had ended.\n")
    assert done.err == f"There was none in {tables_of(database)}.\n"
    assert live("42") == [alive]


def test_purge_on_a_machine_whose_clock_is_wrong_deletes_nothing_and_says_why(
    database: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alive,) = log_in("42")
    with monkeypatch.context() as patched:
        patched.setattr("asgi_sessions.protocol.clock.time_ns", lambda: time.time_ns() + 15 * 86_400 * 10**9)
        done = shell("purge")
    assert done.code == 2
    assert "max_clock_difference: this machine's clock says" in done.err
    assert live("42") == [alive]


@pytest.mark.parametrize("days", [-15, 15])
def test_a_logout_need_not_wait_for_a_clock_to_be_mended(
    days: int, database: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, other, _ = log_in("42", "42", "43", "44")
    with monkeypatch.context() as patched:
        patched.setattr("asgi_sessions.protocol.clock.time_ns", lambda: time.time_ns() + days * 86_400 * 10**9)
        for command, arguments, out in (
            ("list", ["42", "--json"], one),
            ("revoke", [one], "Revoked 1 session.\n"),
            ("revoke-user", ["42"], "Revoked 1 session of user '42'.\n"),
            ("revoke-all", ["--except", other, "--yes"], "Revoked 1 session.\n"),
        ):
            done = shell(command, *arguments)
            assert done.code == 0
            assert out in done.out
            assert done.err.startswith("warning: this machine's clock says ")
            assert done.err.endswith("are allowed. Going by the database's time.\n")
    assert live("42", "43", "44") == [other]


def test_migrate_makes_the_tables_for_those_who_do_not_migrate_at_start(
    empty_database: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_MIGRATE_ON_START", "false")
    assert shell("list", "42").code == 3
    for _ in range(2):
        done = shell("migrate")
        assert (done.code, done.out, done.err) == (0, f"Up to date: {tables_of(empty_database)}.\n", "")
    assert shell("list", "42").code == 1


def test_sessions_are_listed_and_ended_by_what_they_belong_to(database: str, shell: Shell) -> None:
    first, second = log_in("42", 43, index={"org": "acme"})
    (other,) = log_in("44", index={"org": "globex"})
    done = shell("list-by", "org", "acme", "--json", "--limit", "1")
    assert (done.code, [record["session_handle"] for record in json.loads(done.out)]) == (0, [second])
    done = shell("list-by", "org", "acme", *done.err.split(":", 1)[1].split())
    assert (done.code, [line.split()[0] for line in done.out.splitlines()[1:]]) == (0, [first])
    done = shell("revoke-by", "org", "acme", "--except", first)
    assert (done.code, done.out) == (0, "Revoked 1 session of org 'acme'.\n")
    assert any("index_value='acme'" in line for line in done.audit)
    done = shell("revoke-by", "org", "acme", "--before", "2020-01-31T12:00:00Z")
    assert (done.code, done.err) == (1, f"No live session has org 'acme' in {tables_of(database)}.\n")
    done = shell("revoke-by", "org", "acme")
    assert (done.code, done.out) == (0, "Revoked 1 session of org 'acme'.\n")
    done = shell("list-by", "org", "acme")
    assert (done.code, done.err) == (1, f"No live session has org 'acme' in {tables_of(database)}.\n")
    assert live("44") == [other]
