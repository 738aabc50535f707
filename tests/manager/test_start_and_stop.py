"""Start and stop are re-entrant and counted; a start that fails leaves nothing behind."""

import asyncio

import pytest

from asgi_sessions import ConfigurationError, GeneralError, SessionManager, SessionSettings, StoreUnavailable
from asgi_sessions.manager.runtime import Runtime
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations.run import migrate
from asgi_sessions.store.schema import DEFAULT_TABLE_PREFIX
from tests.manager.conftest import NewManager


@pytest.fixture
def sessions() -> SessionManager:
    return SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0))


async def is_running(sessions: SessionManager) -> bool:
    try:
        await sessions.get_all_session_handles_for_user("alice")
    except ConfigurationError:
        return False
    return True


async def test_the_last_stop_counts(sessions: SessionManager) -> None:
    async with sessions:
        async with sessions:
            await sessions.start()
        await sessions.stop()
        assert await is_running(sessions)
    assert not await is_running(sessions)


async def test_a_stop_too_many_is_harmless(sessions: SessionManager) -> None:
    await sessions.stop()
    async with sessions:
        pass
    await sessions.stop()
    async with sessions:
        assert await is_running(sessions)


async def test_starts_at_the_same_time_open_the_store_once(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    open_once = Runtime.open

    async def counted(self: Runtime) -> None:
        opened.append(self)
        await open_once(self)

    monkeypatch.setattr(Runtime, "open", counted)
    await asyncio.gather(*(sessions.start() for _ in range(5)))
    assert len(opened) == 1
    for _ in range(5):
        assert await is_running(sessions)
        await sessions.stop()
    assert not await is_running(sessions)


async def test_a_start_during_the_last_stop_opens_the_store_anew(sessions: SessionManager) -> None:
    await sessions.start()
    await asyncio.gather(sessions.stop(), sessions.start(), sessions.start())
    assert await is_running(sessions)
    await sessions.stop()
    assert await is_running(sessions)
    await sessions.stop()
    assert not await is_running(sessions)


async def test_of_starts_at_the_same_time_one_failure_is_not_the_others(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OSError("first")]
    opening = Runtime.open

    async def fail_first(self: Runtime) -> None:
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        await opening(self)

    monkeypatch.setattr(Runtime, "open", fail_first)
    results = await asyncio.gather(*(sessions.start() for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [OSError, type(None), type(None), type(None)]
    for _ in range(3):
        assert await is_running(sessions)
        await sessions.stop()
    assert not await is_running(sessions)


async def test_a_failed_start_leaves_nothing_behind() -> None:
    sessions = SessionManager(SessionSettings(database_url="sqlite+aiosqlite:////nowhere/at/all/sessions.db"))
    before = asyncio.all_tasks()
    for _ in range(2):
        with pytest.raises(GeneralError):
            await sessions.start()
    assert not await is_running(sessions)
    assert asyncio.all_tasks() == before


async def test_a_cancelled_start_leaves_nothing_behind(sessions: SessionManager) -> None:
    starting = asyncio.ensure_future(sessions.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not await is_running(sessions)
    async with sessions:
        assert await is_running(sessions)


async def test_no_task_outlives_the_stop(new_manager: NewManager) -> None:
    before = asyncio.all_tasks()
    async with new_manager(purge_interval="1h"):
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


async def test_a_restart_finds_everything_again(new_manager: NewManager) -> None:
    sessions = new_manager()
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
    async with sessions:
        found = await sessions.get_session_without_request(issued.access_token.value)
        assert found.session_handle == issued.session.session_handle
        await sessions.refresh_session_without_request(issued.refresh_token.value)


def test_one_loop_after_the_other(new_manager: NewManager) -> None:
    sessions = new_manager()

    async def count() -> int:
        async with sessions:
            await sessions.create_new_session_without_request("alice")
            return len(await sessions.get_all_session_handles_for_user("alice"))

    assert [asyncio.run(count()) for _ in range(3)] == [1, 2, 3]


async def test_without_migration_missing_tables_are_an_error_and_upgrading_makes_them(
    first_manager: NewManager,
) -> None:
    sessions = first_manager(migrate_on_start=False)
    with pytest.raises(StoreUnavailable, match="asgi-sessions migrate"):
        await sessions.start()
    await sessions.upgrade_database()
    async with sessions:
        assert await is_running(sessions)


async def test_without_migration_tables_of_an_older_version_are_named(
    database_url: str, first_manager: NewManager
) -> None:
    database = await open_database(database_url)
    await migrate(database, DEFAULT_TABLE_PREFIX, revision="0001")
    await database.close()
    with pytest.raises(StoreUnavailable, match="of an older version"):
        await first_manager(migrate_on_start=False).start()


async def test_two_prefixes_share_a_database_and_nothing_else(first_manager: NewManager) -> None:
    async with first_manager(table_prefix="shop_") as shop, first_manager(table_prefix="desk_") as desk:
        issued = await shop.create_new_session_without_request("alice")
        assert await desk.get_all_session_handles_for_user("alice") == []
        assert not await desk.revoke_session_using_session_handle(issued.session.session_handle)
        assert await shop.get_all_session_handles_for_user("alice") == [issued.session.session_handle]
