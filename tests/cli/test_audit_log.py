"""What a command has ended is in the audit log on stderr, as the application would have written it."""

from datetime import UTC, datetime, timedelta

import pytest

from asgi_sessions.cli import main
from tests.cli.conftest import Shell, act, log_in


def test_each_command_that_ends_sessions_writes_one_event(database: str, shell: Shell) -> None:
    first, second = log_in("42", "42")
    assert shell("revoke", first, second).audit == (
        f"session.revoked reason='logout' count=2 session_handles={[first, second]!r}",
    )
    log_in("42", 43)
    assert shell("revoke-user", "42").audit == ("session.revoked user_id='42' reason='logout_all' count=1",)
    assert shell("erase-user", "43", "--id-type", "int").audit == (
        "session.revoked user_id=43 reason='erased' count=1",
    )
    log_in("42", "44")
    assert shell("revoke-all", "--yes").audit == ("session.revoked reason='logout_everybody' count=2",)


def test_an_event_says_who_acted(database: str, shell: Shell) -> None:
    _, acted = act("admin", "alice")
    assert shell("revoke-user", "admin", "--acting").audit == (
        "session.revoked user_id='admin' reason='logout_all' count=1",
        f"session.revoked reason='logout_all' count=1 session_handles=['{acted}'] actor='admin'",
    )


@pytest.mark.parametrize(
    "command",
    [
        ["list", "42"],
        ["export-user", "42"],
        ["purge"],
        ["migrate"],
        ["revoke", "0" * 32],
        ["revoke-user", "43"],
        ["erase-user", "43"],
        ["revoke-all", "--before", "2001-01-01T00:00:00Z", "--yes"],
    ],
)
def test_where_nothing_ends_there_is_no_event(command: list[str], sqlite: str, shell: Shell) -> None:
    log_in("42")
    assert shell(*command).audit == ()


def test_a_line_has_the_time_of_the_event(sqlite: str, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    log_in("42")
    main(["revoke-user", "42"])
    (line,) = capsys.readouterr().err.splitlines()
    age = datetime.now(UTC) - datetime.fromisoformat(line.split()[0])
    assert abs(age) < timedelta(minutes=5)


def test_an_event_says_nothing_to_the_terminal(sqlite: str, shell: Shell) -> None:
    log_in("\x1b[2J\n\u202ejürgen")
    (event,) = shell("revoke-user", "\x1b[2J\n\u202ejürgen").audit
    assert event == "session.revoked user_id='\\x1b[2J\\n\\u202ejürgen' reason='logout_all' count=1"
