"""All sessions of a user, all but one, several by handle: when the call returns they are over in this worker.

However slow the tombstones are to read: a statement does not say which sessions it has ended.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from asgi_sessions import Session, SessionManager, StoreUnavailable, Unauthorised
from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from tests.patience import PATIENCE
from tests.revocation.polling import feed_of, poll, stop_polling
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.browser import Browser
from tests.security.shop import ACCESS, Shop, open_shop
from tests.security.statements import counted


@pytest.fixture
def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    """A worker that polls when it is told to."""
    async with open_shop(url) as shop:
        await stop_polling(shop.manager)
        yield shop


async def all_of_them(manager: SessionManager, kept: Session, ended: list[Session]) -> None:
    await kept.revoke_session()
    await manager.revoke_all_sessions_for_user("alice")


async def all_others(manager: SessionManager, kept: Session, ended: list[Session]) -> None:
    assert await kept.revoke_other_sessions() == len(ended)


async def several(manager: SessionManager, kept: Session, ended: list[Session]) -> None:
    assert await manager.revoke_multiple_sessions([each.session_handle for each in ended]) == len(ended)


End = Callable[[SessionManager, Session, list[Session]], Awaitable[None]]
every_form = pytest.mark.parametrize("end", [all_of_them, all_others, several], ids=lambda end: end.__name__)


async def session_of(shop: Shop, browser: Browser) -> Session:
    return await shop.manager.get_session_without_request(browser.cookies[ACCESS])


async def logged_in(shop: Shop, count: int) -> tuple[list[Browser], list[Session]]:
    browsers = [await shop.login() for _ in range(count)]
    return browsers, [await session_of(shop, browser) for browser in browsers]


async def statuses(*browsers: Browser, path: str = "/me") -> list[int]:
    return [(await browser.copy().get(path)).status for browser in browsers]


# -- requests


@every_form
@pytest.mark.parametrize("reads", ["hang", "fail"])
async def test_who_was_ended_is_refused_here_whatever_becomes_of_the_reads(
    shop: Shop, end: End, reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept, *browsers), (kept_session, *ended) = await logged_in(shop, 4)
    other = await shop.login("bob")

    async def page(*_: Any, **__: Any) -> Any:
        if reads == "fail":
            raise StoreUnavailable
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr(feed_of(shop.manager)._tombstones, "page", page)
        polling = asyncio.create_task(feed_of(shop.manager).poll())
        await asyncio.sleep(0)
        await end(shop.manager, kept_session, ended)
        for _ in range(2):
            assert await statuses(*browsers, other) == [401, 401, 401, 200]
            assert await statuses(*browsers, path="/checked") == [401, 401, 401]
        polling.cancel()
        with suppress(asyncio.CancelledError, StoreUnavailable):
            await polling
    if end is not all_of_them:
        assert await statuses(kept) == [200]
    await poll(shop.manager)
    assert await statuses(*browsers, other) == [401, 401, 401, 200]


async def test_only_the_users_own_requests_ask_the_database_and_only_until_the_next_poll(shop: Shop) -> None:
    browsers, (kept, *_) = await logged_in(shop, 2)
    other = await shop.login("bob")
    await kept.revoke_other_sessions()
    with counted() as statements:
        assert await statuses(other, other) == [200, 200]
    assert statements == []
    with counted() as statements:
        assert await statuses(browsers[0]) == [200]
    assert len(statements) == 1
    await poll(shop.manager)
    with counted() as statements:
        assert await statuses(browsers[0], other) == [200, 200]
    assert statements == []


async def test_a_poll_that_began_before_the_call_clears_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await shop.login()
    feed = feed_of(shop.manager)
    page, read, go_on = feed._tombstones.page, asyncio.Event(), asyncio.Event()

    async def held(*arguments: Any, **options: Any) -> Any:
        found = await page(*arguments, **options)
        read.set()
        await go_on.wait()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(feed._tombstones, "page", held)
        under_way = asyncio.create_task(feed.poll())
        await read.wait()
        await shop.manager.revoke_all_sessions_for_user("alice")
        go_on.set()
        await under_way
    assert await statuses(browser) == [401]
    await poll(shop.manager)
    assert await statuses(browser) == [401]


async def test_a_larger_revocation_that_began_later_and_was_read_before_hides_nobody(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 5)
    cemetery = Cemetery(database)
    browsers, _ = await logged_in(shop, 2)
    await cemetery.bury(*(some_handle() for _ in range(60)), at=await cemetery.now() + 5_000)
    await poll(shop.manager)
    await shop.manager.revoke_all_sessions_for_user("alice")  # its tombstones lie below, where all pages are known
    await poll(shop.manager)
    assert not feed_of(shop.manager).expects_tombstones
    assert await statuses(*browsers) == [401, 401]


async def test_what_another_worker_was_faster_with_is_refused_here_too(url: str, shop: Shop) -> None:
    browsers, _ = await logged_in(shop, 2)
    handles = [(await browser.get("/me")).json()["handle"] for browser in browsers]
    async with open_shop(url, clock=shop.clock) as two:
        await two.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(*browsers) == [200, 200], "this one cannot have heard"
    assert await shop.manager.revoke_multiple_sessions(handles[:1]) == 0
    assert await statuses(*browsers) == [401, 200]
    assert await shop.manager.revoke_all_sessions_for_user("alice") == 0
    assert await statuses(*browsers) == [401, 401]


async def test_who_logs_in_again_is_served(shop: Shop) -> None:
    await shop.login()
    await shop.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(await shop.login()) == [200]


# -- whoever waits for a session's end


@pytest.fixture(params=["feed", "database", "none"])
async def watched(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Shop]:
    """A worker that hears of nothing but what it does itself."""
    async with open_shop(url, revocation_check=request.param) as shop:
        if request.param != "none":
            await stop_polling(shop.manager)
        yield shop


@every_form
async def test_whoever_waits_here_hears_of_it_at_once(watched: Shop, end: End) -> None:
    _, (kept, *ended) = await logged_in(watched, 3)
    other = await session_of(watched, await watched.login("bob"))
    waiting = [asyncio.create_task(session.wait_until_ended()) for session in ended]
    others = [asyncio.create_task(other.wait_until_ended())]
    if end is not all_of_them:
        others.append(asyncio.create_task(kept.wait_until_ended()))
    await asyncio.sleep(0.05)
    await end(watched.manager, kept, ended)
    done, _ = await asyncio.wait(waiting, timeout=PATIENCE)
    assert len(done) == 2
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()
    await asyncio.wait(others)


async def test_where_the_database_does_not_say_who_lives_all_connections_of_the_user_end(
    watched: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (session,) = await logged_in(watched, 1)
    waiting = asyncio.create_task(session.wait_until_ended())
    await asyncio.sleep(0.05)

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(SessionRepository, "living", down)
    assert await watched.manager.revoke_all_sessions_for_user("alice") == 1
    done, _ = await asyncio.wait([waiting], timeout=PATIENCE)
    assert len(done) == 1


async def test_a_statement_more_finds_out_who_of_those_is_over_and_none_where_nobody_waits(watched: Shop) -> None:
    _, (session, left) = await logged_in(watched, 2)
    await watched.login("bob")
    waiting = asyncio.create_task(session.wait_until_ended())
    leaving = asyncio.create_task(left.wait_until_ended())
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.wait([leaving])
    with counted() as statements:
        await watched.manager.revoke_all_sessions_for_user("bob")
    assert [statement.split()[0] for statement in statements] == ["UPDATE"]
    with counted() as statements:
        await watched.manager.revoke_all_sessions_for_user("alice")
        await asyncio.wait([waiting], timeout=PATIENCE)
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "SELECT"]
    with pytest.raises(Unauthorised):
        await session.check()
