"""What others have still to be told of is shown; what was given up is queued anew, or dropped."""

import json
from collections.abc import Sequence

from asgi_sessions import SessionManager
from asgi_sessions.store.notifications import Backlog
from tests.cli.conftest import Shell, log_in, tables_of, with_manager


def take_down(handles: Sequence[str], *, dead: Sequence[str] = ()) -> None:
    """As the worker that delivers does."""

    async def work(sessions: SessionManager) -> None:
        await sessions.revoke_multiple_sessions(handles)
        store, now = sessions.lifecycle.notifications, sessions.time()
        for receiver in ("reports", "stock"):
            await store.add(handles, receiver, now)
        await store.bury(dead, "reports", now, "400")

    with_manager(work)


def backlog() -> list[Backlog]:
    async def work(sessions: SessionManager) -> list[Backlog]:
        return await sessions.lifecycle.notifications.backlog()

    return with_manager(work)


def test_they_are_listed(database: str, shell: Shell) -> None:
    first, second = log_in("ada", 42)
    done = shell("notifications")
    assert (done.code, done.out, done.err) == (1, "", f"Nothing has to be told to others in {tables_of(database)}.\n")
    take_down([first, second], dead=[second])
    done = shell("notifications")
    assert (done.code, done.err) == (0, "")
    heading, *lines = done.out.splitlines()
    assert heading.split("  ")[0] == "SESSION HANDLE"
    assert sorted(line.split()[:3] for line in lines[:4]) == sorted(
        [
            [first, "reports", "waiting"],
            [first, "stock", "waiting"],
            [second, "reports", "dead"],
            [second, "stock", "waiting"],
        ]
    )
    assert lines[4:] == ["'reports': 1 waiting, 1 given up.", "'stock': 2 waiting, 0 given up."]
    assert "ada" not in done.out


def test_they_are_listed_for_programs_too_and_so_many_at_most(database: str, shell: Shell) -> None:
    first, second = log_in("ada", 42)
    take_down([first, second], dead=[second])
    done = shell("notifications", "--dead", "--json")
    content = json.loads(done.out)
    (dead,) = content["notifications"]
    assert (dead["session_handle"], dead["receiver"], dead["state"]) == (second, "reports", "dead")
    assert (dead["attempts"], dead["failure"], dead["next_try_at"]) == (1, "400", None)
    assert [(each["receiver"], each["waiting"], each["dead"]) for each in content["receivers"]] == [
        ("reports", 1, 1),
        ("stock", 2, 0),
    ]
    done = shell("notifications", "--limit", "3")
    assert (done.code, done.err) == (0, "There are more than 3.\n")


def test_what_was_given_up_is_queued_anew_or_dropped(database: str, shell: Shell) -> None:
    handles = log_in("ada", 42, 43)
    take_down(handles, dead=handles)
    nothing = f"Nothing of this has been given up in {tables_of(database)}.\n"
    for command in ("requeue-notifications", "drop-notifications"):
        for wrong in ([], [handles[0], "--all"]):
            done = shell(command, *wrong)
            assert (done.code, done.err) == (2, "Give either session handles, or --all.\n")
        done = shell(command, "--all", "--receiver", "stock")
        assert (done.code, done.err) == (1, nothing)
    done = shell("requeue-notifications", handles[0], "--receiver", "reports")
    assert (done.code, done.out) == (0, "Queued 1 notification.\n")
    done = shell("drop-notifications", "--all")
    assert (done.code, done.out) == (0, "Deleted 2 notifications.\n")
    assert [(each.receiver, each.waiting, each.dead) for each in backlog()] == [("reports", 1, 0), ("stock", 3, 0)]
