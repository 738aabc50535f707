"""Changes of a session's info that overlap: none is lost, whoever makes them, also a worker of an older version."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import SessionManager, StoreUnavailable, Unauthorised
from asgi_sessions.manager import changing
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.repository import SessionRepository
from tests.manager.conftest import NewManager

AT_ONCE = 10


def one_more(info: Any) -> Any:
    return {**info, "visits": info["visits"] + 1}


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


async def begun(sessions: SessionManager, info: Any) -> str:
    issued = await sessions.create_new_session_without_request("alice", session_info=info)
    return issued.session.session_handle


def before_each_swap(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any], *, times: int = 1) -> None:
    """Have something happen between the read and the write of a change."""
    swap, left = SessionRepository.swap_info, [times]

    async def later(*arguments: Any, **options: Any) -> bool:
        if left[0]:
            left[0] -= 1
            await happens()
        return await swap(*arguments, **options)

    monkeypatch.setattr(SessionRepository, "swap_info", later)


async def test_of_changes_at_once_on_two_workers_none_is_lost(new_manager: NewManager) -> None:
    async with new_manager() as one, new_manager() as two:
        issued = await one.create_new_session_without_request("alice", session_info={"visits": 0, "cart": ["Zoë"]})
        handle = issued.session.session_handle
        other = await two.get_session_without_request(issued.access_token.value)
        told = await asyncio.gather(
            *(one.change_session_info(handle, one_more) for _ in range(AT_ONCE)),
            *(other.change_session_info(one_more) for _ in range(AT_ONCE)),
        )
        assert sorted(info["visits"] for info in told) == list(range(1, 2 * AT_ONCE + 1))
        assert await two.get_session_info(handle) == {"visits": 2 * AT_ONCE, "cart": ["Zoë"]}


async def test_a_plain_update_of_an_older_version_is_not_overwritten(
    running: SessionManager, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await begun(running, {"visits": 0})
    database = await open_database(store_url)
    # Word for word what 0.1 sends. It counts no changes.
    statement = text("UPDATE asgi_sessions_sessions SET session_info = :info WHERE handle = :handle")
    before_each_swap(
        monkeypatch, lambda: database.run(statement, {"info": '{"visits":7,"by":"older"}', "handle": handle})
    )
    assert await running.change_session_info(handle, one_more) == {"visits": 8, "by": "older"}
    await database.close()


@pytest.mark.parametrize(
    ("read", "meanwhile"),
    [({"visits": "1"}, {"visits": 1}), ("a", "A"), ("a", "a "), ("é", "e"), ([1, 2], [2, 1]), ([1.0], [1]), (0, None)],
    ids=str,
)
async def test_whatever_differs_is_another_info(
    read: Any, meanwhile: Any, running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await begun(running, read)
    before_each_swap(monkeypatch, lambda: running.update_session_info(handle, meanwhile))
    seen: list[Any] = []

    def note(info: Any) -> Any:
        seen.append(info)
        return "new"

    await running.change_session_info(handle, note)
    assert seen == [read, meanwhile]
    assert [type(info) for info in seen] == [type(read), type(meanwhile)]


async def test_the_function_gets_an_object_of_its_own_each_time(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await begun(running, ["first"])
    before_each_swap(monkeypatch, lambda: running.update_session_info(handle, ["second"]))

    def appended(info: list[str]) -> list[str]:
        info.append("mine")
        return info

    assert await running.change_session_info(handle, appended) == ["second", "mine"]
    assert await running.get_session_info(handle) == ["second", "mine"]


async def test_an_info_of_a_megabyte_can_be_changed(running: SessionManager) -> None:
    handle = await begun(running, ["x" * 500_000, 1])
    await running.change_session_info(handle, lambda info: [*info, "y" * 500_000])
    assert (await running.get_session_info(handle))[2] == "y" * 500_000


async def test_a_session_that_ends_meanwhile_stays_as_it_is(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await begun(running, {"visits": 0})
    before_each_swap(monkeypatch, lambda: running.revoke_session_using_session_handle(handle))
    with pytest.raises(Unauthorised):
        await running.change_session_info(handle, one_more)
    for gone in (handle, "0" * 32, "no handle"):
        with pytest.raises(Unauthorised):
            await running.change_session_info(gone, one_more)


async def test_whoever_is_overtaken_each_time_is_told_to_try_again(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await begun(running, {"visits": 0})
    monkeypatch.setattr(changing, "MOST_TRIES", 3)
    changes = iter(range(1, 100))
    before_each_swap(monkeypatch, lambda: running.update_session_info(handle, {"visits": next(changes)}), times=3)
    with pytest.raises(StoreUnavailable):
        await running.change_session_info(handle, one_more)
    assert await running.get_session_info(handle) == {"visits": 3}


def nothing(info: Any) -> None:
    info["visits"] += 1


async def awaited(info: Any) -> Any:
    return info


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (nothing, TypeError),
        (awaited, TypeError),
        ({"visits": 1}, TypeError),
        (None, TypeError),
        (lambda info: {1, 2}, TypeError),
        (lambda info: "x" * 2_000_000, ValueError),
        (lambda info: info["missing"], KeyError),
    ],
)
async def test_a_function_that_makes_no_info_changes_nothing(
    change: Any, error: type[Exception], running: SessionManager
) -> None:
    issued = await running.create_new_session_without_request("alice", session_info={"visits": 0})
    with pytest.raises(error):
        await running.change_session_info(issued.session.session_handle, change)
    with pytest.raises(error):
        await issued.session.change_session_info(change)
    assert await issued.session.get_session_info() == {"visits": 0}
