"""How many sessions a user may have: where nobody has said it, and how many of them a call lists."""

import sys
import time
from typing import Any

import pytest

from asgi_sessions import SessionLimitReached, SessionManager
from asgi_sessions.manager import limiting
from asgi_sessions.manager.installation import UPGRADED_AT
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.state import StateStore
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager

DEFAULT = 100


async def log_in(sessions: SessionManager, count: int, user: Any = "alice") -> list[str]:
    """The handles, in order; looks beside the logins are over."""
    handles = []
    for _ in range(count):
        handles.append((await sessions.create_new_session_without_request(user)).session.session_handle)
        await sessions.lifecycle.close()
    return handles


async def live(sessions: SessionManager, user: Any = "alice") -> set[str]:
    return set(await sessions.get_all_session_handles_for_user(user))


async def test_a_new_installation_keeps_the_newest_hundred(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager() as sessions:
        handles = []
        for _ in range(DEFAULT + 30):
            clock.advance(1)
            handles += await log_in(sessions, 1)
        assert await live(sessions) == set(handles[-DEFAULT:])


async def test_workers_that_share_a_users_logins_keep_near_the_limit(new_manager: NewManager) -> None:
    async with new_manager() as one, new_manager() as two:
        for _ in range(DEFAULT):
            await log_in(one, 1)
            await log_in(two, 1)
        assert DEFAULT <= len(await live(one)) <= DEFAULT + 1


async def test_what_the_default_ends_is_told_as_evicted(new_manager: NewManager) -> None:
    reasons = []
    async with new_manager() as sessions:

        @sessions.on_session_revoked
        async def note(event: Any) -> None:
            reasons.append(event.details["reason"])

        await log_in(sessions, DEFAULT + 2)
        await sessions._events.settle()
    assert reasons == ["evicted", "evicted"]


async def test_the_default_spares_a_session_in_use_however_often_a_script_logs_in(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager() as sessions:
        person = await sessions.create_new_session_without_request("alice")
        for _ in range(3):
            await log_in(sessions, DEFAULT - 1)
            clock.advance(301)
            person = await sessions.refresh_session_without_request(person.refresh_token.value)
        await sessions.get_session_without_request(person.access_token.value)
        assert person.session.session_handle in await sessions.get_all_session_handles_for_user("alice")


async def test_a_few_logins_are_an_insert_each_and_nothing_beside(
    new_manager: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    newest_of = SessionRepository.newest_of

    async def noted(self: SessionRepository, *arguments: Any, **options: Any) -> Any:
        looks.append(arguments)
        return await newest_of(self, *arguments, **options)

    monkeypatch.setattr(SessionRepository, "newest_of", noted)
    async with new_manager() as sessions:
        await log_in(sessions, limiting.FIRST_LOOK - 1)
        assert looks == []
        await log_in(sessions, 1)
        assert len(looks) == 1


async def test_the_users_that_a_worker_counts_are_bounded(
    new_manager: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiting, "MOST_REMEMBERED", 3)
    async with new_manager() as sessions:
        for user in range(5):
            await log_in(sessions, 1, user)
        assert len(sessions.lifecycle._limit._until_look) == 3


async def test_an_installation_that_an_older_version_began_has_no_limit_unless_it_is_set(
    store_url: str, new_manager: NewManager
) -> None:
    async with new_manager():
        pass  # makes the tables where there are none
    database = await open_database(store_url)
    state = StateStore(database, build_tables())
    await state.raise_to(UPGRADED_AT, time.time_ns() // 1_000_000)
    await database.close()
    async with new_manager() as sessions:
        await log_in(sessions, DEFAULT + 15)
        assert len(await live(sessions)) == DEFAULT + 15
    async with new_manager(max_sessions_per_user=DEFAULT) as sessions:
        await log_in(sessions, 1)
        assert len(await live(sessions)) == DEFAULT


async def test_any_number_can_be_said(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=None) as sessions:
        await log_in(sessions, DEFAULT + 15)
        assert len(await live(sessions)) == DEFAULT + 15


async def test_where_logins_are_to_be_refused_the_default_holds_at_once(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_action="reject") as sessions:
        await log_in(sessions, DEFAULT)
        with pytest.raises(SessionLimitReached):
            await sessions.create_new_session_without_request("alice")


@pytest.mark.parametrize("count", [limiting.MOST_COUNTED, sys.maxsize, 10**30])
@pytest.mark.parametrize("action", ["evict_oldest", "reject"])
@pytest.mark.parametrize("said_by", ["setting", "function"])
async def test_any_number_can_be_said_by_a_number_that_nobody_reaches(
    said_by: str, action: str, count: int, new_manager: NewManager
) -> None:
    sessions = new_manager(max_sessions_action=action, max_sessions_per_user=count if said_by == "setting" else 1)
    if said_by == "function":

        @sessions.limit_sessions_per_user
        async def limit(user_id: Any, jwt_payload: Any) -> int:
            return count

    async with sessions:
        handles = await log_in(sessions, 2)
        assert await live(sessions) == set(handles)


# -- lists


async def test_a_list_is_a_page_of_a_hundred_and_says_where_the_next_one_begins(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=None) as sessions:
        handles = await log_in(sessions, DEFAULT + 15)
        first = await sessions.list_sessions_for_user("alice")
        second = await sessions.list_sessions_for_user("alice", after=first[-1].cursor)
        assert (len(first), len(second)) == (DEFAULT, 15)
        assert {record.session_handle for record in (*first, *second)} == set(handles)
        assert await sessions.list_sessions_for_user("alice", after=second[-1].cursor) == []
        assert await sessions.list_sessions_for_user("bob", after=second[-1].cursor) == []


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**30])
async def test_a_limit_that_is_none_is_refused(limit: int, sessions: SessionManager) -> None:
    async with sessions:
        with pytest.raises(ValueError, match="limit: "):
            await sessions.list_sessions_for_user("alice", limit=limit)


@pytest.mark.parametrize("after", ["", "1-" + "a" * 32 + "\n", "1" * 16 + "-" + "a" * 32])
async def test_a_cursor_that_is_none_is_refused(after: str, sessions: SessionManager) -> None:
    async with sessions:
        with pytest.raises(ValueError, match="after: "):
            await sessions.list_sessions_for_user("alice", after=after)


async def test_a_handle_can_be_ended_only_if_it_is_a_certain_users(sessions: SessionManager) -> None:
    async with sessions:
        (handle,) = await log_in(sessions, 1, 42)
        for stranger in ("42", 43, "\ud800", "x" * 500):
            assert not await sessions.revoke_session_using_session_handle(handle, user_id=stranger)
        assert await sessions.revoke_session_using_session_handle(handle, user_id=42)
