"""Sessions that are found by what they belong to: listed and ended by it, on every worker, and by nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asgi_sessions import (
    ImpersonationRefused,
    IssuedSession,
    SessionEvent,
    SessionLimitReached,
    SessionManager,
    StoreUnavailable,
    Unauthorised,
)
from asgi_sessions.manager import indexing
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.manager.session import impersonation_by
from asgi_sessions.protocol.session_index import entries
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.revocation.polling import poll


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


async def log_in(sessions: SessionManager, user: Any = "alice", **index: Any) -> IssuedSession[Any, Any]:
    return await sessions.create_new_session_without_request(user, index=index)


async def handles_by(sessions: SessionManager, name: str, value: str) -> list[str]:
    return [record.session_handle for record in await sessions.list_sessions_by_index(name, value)]


async def is_live(sessions: SessionManager, issued: IssuedSession[Any, Any]) -> bool:
    try:
        await sessions.get_session_without_request(issued.access_token.value, check_database=True)
    except Unauthorised:
        return False
    return True


async def test_one_organisation_ends_and_no_other(running: SessionManager, clock: MovableClock) -> None:
    acme = []
    for user in ("alice", 7, "bob"):
        acme.append(await log_in(running, user, org="acme", team=["red", "blue"]))
        clock.advance(seconds=1)
    others = [await log_in(running, "carol", org="globex"), await running.create_new_session_without_request("dave")]
    records = await running.list_sessions_by_index("org", "acme")
    assert [record.user_id for record in records] == ["bob", 7, "alice"]
    assert await running.revoke_sessions_by_index("org", "acme") == 3
    assert [await is_live(running, each) for each in acme] == [False] * 3
    assert [await is_live(running, each) for each in others] == [True] * 2
    assert await running.list_sessions_by_index("org", "acme") == []
    assert await running.revoke_sessions_by_index("org", "acme") == 0


async def test_it_is_felt_at_once_here_and_by_the_next_poll_elsewhere(new_manager: NewManager) -> None:
    async with new_manager() as here, new_manager() as there:
        issued = await log_in(here, org="acme")
        token = issued.access_token.value
        await there.get_session_without_request(token)
        waiting = asyncio.create_task(issued.session.wait_until_ended())
        await asyncio.sleep(0)
        assert await here.revoke_sessions_by_index("org", "acme") == 1
        await waiting
        for manager in (here, there):
            await poll(manager)
            with pytest.raises(Unauthorised):
                await manager.get_session_without_request(token)


async def test_pages_are_ended_one_after_the_other_and_told_of_once(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(indexing, "REVOKE_BATCH", 3)
    told: list[SessionEvent] = []

    @running.on_session_revoked
    async def hook(event: SessionEvent) -> None:
        told.append(event)

    issued = [await log_in(running, number, org="acme") for number in range(8)]
    kept = issued[4].session.session_handle
    with caplog.at_level(logging.INFO, "asgi_sessions.audit"):
        assert await running.revoke_sessions_by_index("org", "acme", except_handle=kept) == 7
    assert await handles_by(running, "org", "acme") == [kept]
    await running._events.settle()
    ((event,), (record,)) = told, [r for r in caplog.records if r.message.startswith("session.revoked")]
    details = {"reason": "logout_index", "count": 7, "index_name": "org", "index_value": "acme"}
    assert (event.session_handle, event.user_id, dict(event.details)) == (None, None, details)
    assert details.items() <= vars(record).items()


async def test_only_those_that_began_before_a_time(running: SessionManager, clock: MovableClock) -> None:
    await log_in(running, org="acme")
    clock.advance(seconds=1)
    later = await log_in(running, org="acme")
    before = datetime.fromtimestamp(clock() / 1000, UTC)
    assert await running.revoke_sessions_by_index("org", "acme", before=before) == 1
    assert await handles_by(running, "org", "acme") == [later.session.session_handle]
    assert await running.revoke_sessions_by_index("org", "acme", before=before + timedelta(milliseconds=1)) == 1


async def test_what_fails_half_way_has_ended_so_far(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(indexing, "REVOKE_BATCH", 2)
    for number in range(4):
        await log_in(running, number, org="acme")
    repository = running.lifecycle._sessions
    genuine, calls = repository.revoke_many, 0

    async def failing(*arguments: Any, **more: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreUnavailable
        return await genuine(*arguments, **more)

    monkeypatch.setattr(repository, "revoke_many", failing)
    with caplog.at_level(logging.INFO, "asgi_sessions.audit"), pytest.raises(StoreUnavailable):
        await running.revoke_sessions_by_index("org", "acme")
    assert [vars(record)["count"] for record in caplog.records if "session.revoked" in record.message] == [2]
    assert len(await handles_by(running, "org", "acme")) == 2
    assert await running.revoke_sessions_by_index("org", "acme") == 2


async def test_a_user_who_changes_her_organisation_is_found_by_the_new_one(running: SessionManager) -> None:
    issued = await log_in(running, org="acme", team="red", plan="free")
    session, handle = issued.session, issued.session.session_handle
    await session.update_index({"org": ["globex", "initech"], "plan": None})
    found = {
        f"{name} {value}": await handles_by(running, name, value)
        for name, value in (
            ("org", "acme"),
            ("org", "globex"),
            ("org", "initech"),
            ("team", "red"),
            ("plan", "free"),
        )
    }
    assert found == {
        "org acme": [],
        "org globex": [handle],
        "org initech": [handle],
        "team red": [handle],
        "plan free": [],
    }
    await running.update_session_index(handle, {"org": "acme"})
    assert await handles_by(running, "org", "acme") == [handle]
    assert await handles_by(running, "org", "globex") == []
    await session.revoke_session()
    for change in (session.update_index({"org": "x"}), running.update_session_index(handle, {"org": "x"})):
        with pytest.raises(Unauthorised):
            await change
    for nobody in ("0" * 32, "no handle"):
        with pytest.raises(Unauthorised):
            await running.update_session_index(nobody, {"org": "x"})


async def test_who_acts_as_another_changes_nothing_and_ends_with_the_organisation(running: SessionManager) -> None:
    administrator = (await running.create_new_session_without_request("root")).session
    by = await impersonation_by(administrator, lifetime=60_000)
    login = Login(user_id="alice", impersonation=by, index=entries({"org": "acme"}))
    acting = running._issued(await running.lifecycle.create(login, device=Device("Safari", None)))
    with pytest.raises(ImpersonationRefused):
        await acting.session.update_index({"org": "globex"})
    assert await running.revoke_sessions_by_index("org", "acme") == 1
    assert not await is_live(running, acting)


async def test_a_login_that_is_refused_leaves_nothing_that_is_found(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=1, max_sessions_action="reject") as sessions:
        first = await log_in(sessions, org="acme")
        with pytest.raises(SessionLimitReached):
            await log_in(sessions, org="acme")
        assert await handles_by(sessions, "org", "acme") == [first.session.session_handle]


@pytest.mark.parametrize("index", [{"Org": "acme"}, {"org": 7}, {"org": "\ud83d"}, "org", {"org": ["x"] * 2, "a": 1}])
async def test_a_mistake_in_the_index_begins_no_session(running: SessionManager, index: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        await running.create_new_session_without_request("alice", index=index)
    assert await running.get_all_session_handles_for_user("alice") == []


async def test_arguments_of_another_kind_are_errors_and_end_nothing(running: SessionManager) -> None:
    wrong: Any = 7
    issued = await log_in(running, org="acme")
    for call in (
        lambda: running.revoke_sessions_by_index("org", wrong),
        lambda: running.revoke_sessions_by_index("Org", "acme"),
        lambda: running.revoke_sessions_by_index("org", "acme", before=wrong),
        lambda: running.revoke_sessions_by_index("org", "acme", before=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda: running.revoke_sessions_by_index("org", "acme", except_handle=wrong),
        lambda: running.revoke_sessions_by_index("org", "acme", except_handle="no handle"),
        lambda: running.list_sessions_by_index("org", wrong),
        lambda: running.list_sessions_by_index("org", "acme", limit=0),
        lambda: running.list_sessions_by_index("org", "acme", after="x"),
        lambda: running.update_session_index(wrong, {}),
        lambda: running.update_session_index(issued.session.session_handle, wrong),
        lambda: issued.session.update_index(wrong),
        lambda: issued.session.update_index({"org": wrong}),
    ):
        with pytest.raises((TypeError, ValueError)):
            await call()
    assert await handles_by(running, "org", "acme") == [issued.session.session_handle]


async def test_a_users_data_has_by_what_sessions_are_found_until_it_is_erased(running: SessionManager) -> None:
    await log_in(running, org="acme")
    ((data),) = [row async for row in running.export_user("alice")]
    ((name, digest),) = entries({"org": "acme"})
    assert data["index"] == [{"name": name, "sha256": digest.hex()}]
    assert await running.erase_user("alice") == 1
    assert await running.lifecycle.index._index.entries_of(data["session_handle"]) == []


async def test_the_purge_takes_what_nobody_finds_any_more(running: SessionManager, clock: MovableClock) -> None:
    issued = await log_in(running, org="acme")
    store = running.lifecycle.index._index
    await store.insert("f" * 32, clock(), entries({"org": "acme"}))
    clock.advance(days=400)
    assert await running.purge_expired_sessions() == 1
    for handle in (issued.session.session_handle, "f" * 32):
        assert await store.entries_of(handle) == []
