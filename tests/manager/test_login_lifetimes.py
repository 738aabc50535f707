"""How long a session lasts whose login said so, on every engine: at each bound, after refreshes, by other settings."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import IssuedSession, SessionManager, TryRefreshToken, Unauthorised
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.store.session_row import COLUMNS
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


async def stands(sessions: SessionManager, issued: IssuedSession) -> bool:
    """Whether the session is one of its user's, without a look at any token."""
    return issued.session.session_handle in await sessions.get_all_session_handles_for_user("alice")


async def is_refreshed(sessions: SessionManager, issued: IssuedSession) -> bool:
    try:
        await sessions.refresh_session_without_request(issued.refresh_token.value)
    except Unauthorised:
        return False
    return True


async def ends_after(
    milliseconds: int, sessions: SessionManager, issued: IssuedSession, clock: MovableClock, *, since: int
) -> None:
    """Assert that the session ends so long after a time, to the millisecond: in lists, for its tokens, and as told."""
    assert datetime_to_ms(issued.refresh_token.expires_at) == since + milliseconds
    [record] = [
        record
        for record in await sessions.list_sessions_for_user("alice")
        if record.session_handle == issued.session.session_handle
    ]
    assert datetime_to_ms(record.expires_at) == since + milliseconds
    clock.now = since + milliseconds
    assert not await stands(sessions, issued)
    assert not await is_refreshed(sessions, issued)
    clock.now -= 1
    assert await stands(sessions, issued)
    assert await is_refreshed(sessions, issued)


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [
        ({}, 14 * DAY),
        ({"persistent": False}, 8 * HOUR),
        ({"idle_timeout": HALF_AN_HOUR}, 30 * MINUTE),
        ({"idle_timeout": HALF_AN_HOUR, "persistent": False}, 30 * MINUTE),
        ({"idle_timeout": timedelta(minutes=5)}, 5 * MINUTE),  # as long as an access token
        ({"idle_timeout": timedelta(days=15)}, 14 * DAY),
        ({"idle_timeout": timedelta(hours=9), "persistent": False}, 8 * HOUR),
        ({"absolute_timeout": timedelta(seconds=1)}, 1000),
        ({"absolute_timeout": timedelta(hours=2), "idle_timeout": timedelta(hours=3)}, 2 * HOUR),
        ({"absolute_timeout": timedelta(days=3), "persistent": False}, 8 * HOUR),
    ],
)
async def test_a_session_that_is_not_used_ends_as_its_login_said_and_never_later_than_the_settings(
    said: dict[str, Any], milliseconds: int, running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice", **said)
    await ends_after(milliseconds, running, issued, clock, since=clock())


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [({"persistent": False}, 8 * HOUR), ({"idle_timeout": HALF_AN_HOUR}, 30 * MINUTE)],
)
async def test_refreshes_put_the_end_off_by_its_own_idle_timeout(
    said: dict[str, Any], milliseconds: int, running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice", **said)
    for minutes in (29, 29, 29, 6):
        clock.advance(minutes * 60)
        issued = await running.refresh_session_without_request(issued.refresh_token.value)
        assert issued.session.persistent is said.get("persistent", True)
    await ends_after(milliseconds, running, issued, clock, since=clock())


async def test_a_refresh_that_promotes_nothing_puts_the_end_off_as_far(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice", persistent=False)
    clock.advance(7 * 3600)
    await running.refresh_session_without_request(issued.refresh_token.value)  # its child is not presented yet
    [record] = await running.list_sessions_for_user("alice")
    assert datetime_to_ms(record.expires_at) == clock() + 8 * HOUR


async def test_no_refresh_moves_its_own_absolute_timeout(running: SessionManager, clock: MovableClock) -> None:
    issued = await running.create_new_session_without_request("alice", absolute_timeout=timedelta(hours=1))
    began = clock()
    assert datetime_to_ms(issued.session.expires_at) == began + HOUR
    for _ in range(7):
        clock.advance(8 * 60)
        issued = await running.refresh_session_without_request(issued.refresh_token.value)
        assert datetime_to_ms(issued.session.expires_at) == began + HOUR
    assert datetime_to_ms(issued.access_token.expires_at) == began + HOUR  # and not 5 minutes from now
    await ends_after(HOUR, running, issued, clock, since=began)
    clock.now = began + HOUR
    with pytest.raises(TryRefreshToken):
        await running.get_session_without_request(issued.access_token.value)


async def test_its_own_absolute_timeout_is_cut_to_the_setting(running: SessionManager, clock: MovableClock) -> None:
    for days, expected in ((99, 99), (100, 100), (101, 100)):
        issued = await running.create_new_session_without_request("alice", absolute_timeout=timedelta(days=days))
        assert datetime_to_ms(issued.session.expires_at) == clock() + expected * DAY
        again = await running.refresh_session_without_request(issued.refresh_token.value)
        assert again.session.expires_at == issued.session.expires_at


async def test_an_access_token_that_is_used_first_puts_the_end_off_as_far(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(promote_on="first_use") as sessions:
        said: list[dict[str, Any]] = [{"persistent": False}, {"idle_timeout": HALF_AN_HOUR}, {}]
        for one, idle in zip(said, [8 * HOUR, 30 * MINUTE, 14 * DAY], strict=True):
            issued = await sessions.create_new_session_without_request("alice", **one)
            clock.advance(6 * 60)
            issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
            clock.advance(2 * 60)
            # Promotes by the token alone, without a look at the row.
            await sessions.get_session_without_request(issued.access_token.value)
            [record] = await sessions.list_sessions_for_user("alice")
            assert datetime_to_ms(record.expires_at) == clock() + idle
            await sessions.revoke_all_sessions_for_user("alice")


@pytest.mark.parametrize(
    ("said", "now", "milliseconds"),
    [
        ({}, {"idle_timeout": "1h"}, HOUR),
        ({"persistent": False}, {"nonpersistent_idle_timeout": "1h"}, HOUR),
        ({"persistent": False}, {"idle_timeout": "1h"}, HOUR),
        ({"idle_timeout": timedelta(hours=3)}, {"idle_timeout": "1h"}, HOUR),
        ({"idle_timeout": HALF_AN_HOUR}, {"idle_timeout": "1h"}, 30 * MINUTE),
        # What was longer than the setting counts where the setting is longer by now.
        ({"idle_timeout": timedelta(days=20)}, {"idle_timeout": "30d"}, 20 * DAY),
    ],
)
async def test_the_settings_of_now_count_for_sessions_of_before(
    said: dict[str, Any], now: dict[str, str], milliseconds: int, new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager() as before:
        issued = await before.create_new_session_without_request("alice", **said)
    clock.advance(6 * 60)
    async with new_manager(**now) as sessions:
        issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
        # The child is promoted, so that the session has been used at its time.
        await ends_after(milliseconds, sessions, issued, clock, since=clock())


@pytest.mark.parametrize("said", [{"persistent": False}, {"idle_timeout": timedelta(hours=1)}])
async def test_a_token_that_has_been_idle_for_too_long_is_refused_whatever_the_row_says(
    said: dict[str, Any], running: SessionManager, clock: MovableClock
) -> None:
    # As where a worker of an older version has put the end off, which knows the one setting alone.
    issued = await running.create_new_session_without_request("alice", **said)
    await running.lifecycle._sessions._run(text("UPDATE asgi_sessions_sessions SET idle_expires_at = expires_at"), {})
    clock.advance(8 * 3600)
    assert await stands(running, issued)
    with pytest.raises(Unauthorised):
        await running.refresh_session_without_request(issued.refresh_token.value)


async def test_a_row_of_an_older_version_is_a_persistent_session_of_the_settings(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request(
        "alice", persistent=False, idle_timeout=timedelta(hours=1)
    )
    # Stored anew as a worker of an older version does it, which names none of the new columns.
    row = await running.lifecycle._liveness.live_row(issued.session.session_handle)
    older = [name for name in COLUMNS if name not in {"idle_timeout", "persistent", "actor", "methods"}]
    run = running.lifecycle._sessions._run
    await run(text("DELETE FROM asgi_sessions_sessions"), {})
    names, places = ", ".join(older), ", ".join(f":{name}" for name in older)
    values = {name: getattr(row, name) for name in older} | {"session_info": "null"}
    await run(text(f"INSERT INTO asgi_sessions_sessions ({names}) VALUES ({places})"), values)
    clock.advance(6 * 60)
    issued = await running.refresh_session_without_request(issued.refresh_token.value)
    assert issued.session.persistent
    assert datetime_to_ms(issued.refresh_token.expires_at) == clock() + 14 * DAY


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"idle_timeout": timedelta(minutes=5) - timedelta(milliseconds=1)}, "shorter than access_token_lifetime"),
        ({"idle_timeout": timedelta(milliseconds=999)}, "at least 1 s"),
        ({"absolute_timeout": timedelta(milliseconds=999)}, "at least 1 s"),
        ({"absolute_timeout": timedelta()}, "at least 1 s"),
        ({"absolute_timeout": timedelta(hours=-1)}, "must not be negative"),
        ({"idle_timeout": timedelta.max}, "longer than 36500 days"),
    ],
)
async def test_a_timeout_that_no_session_can_have_is_refused_and_named(
    said: dict[str, timedelta], problem: str, running: SessionManager
) -> None:
    [name] = said
    with pytest.raises(ValueError, match=f"^{name}:? .*{problem}|^{name} {problem}"):
        await running.create_new_session_without_request("alice", **said)  # type: ignore[arg-type]
    assert await running.get_all_session_handles_for_user("alice") == []


async def test_the_log_says_once_of_each_timeout_that_a_setting_has_cut_it(
    running: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    await running.create_new_session_without_request(
        "alice", idle_timeout=timedelta(days=14), absolute_timeout=timedelta(days=100)
    )
    assert not caplog.messages
    for _ in range(2):
        for persistent in (True, False):
            await running.create_new_session_without_request(
                "alice", persistent=persistent, idle_timeout=timedelta(days=15), absolute_timeout=timedelta(days=101)
            )
    assert [message.removeprefix("create_new_session: a login asked for ") for message in caplog.messages] == [
        "a longer idle_timeout than the setting idle_timeout allows; the setting counts.",
        "a longer absolute_timeout than the setting absolute_timeout allows; the setting counts.",
        "a longer idle_timeout than the setting nonpersistent_idle_timeout allows; the setting counts.",
    ]
