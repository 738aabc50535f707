"""Revoked sessions are remembered for as long as anything of theirs could still be believed, and known everywhere."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.manager.clocks import Reading
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.pulse import machine_seconds
from asgi_sessions.store.repository import SessionRepository, SessionRow
from asgi_sessions.store.tombstones import TombstoneStore
from tests.revocation.polling import feed_of, grow_old, poll, stop_polling
from tests.security.conftest import OpenShop
from tests.security.forging import claims
from tests.security.shop import ACCESS, Clock, Shop, open_shop

COUNT = "SELECT COUNT(*) FROM asgi_sessions_sessions"
SLACK = 10  # seconds between the database's clock and the one that tests move


async def test_tombstones_stay_two_access_lifetimes_and_the_staleness(any_shop: Shop) -> None:
    browser = await any_shop.login()
    await browser.post("/logout")
    any_shop.clock.forward(minutes=10, seconds=30 - SLACK)
    assert await any_shop.manager.purge_expired_sessions() == 0
    assert await any_shop.rows(COUNT) == [(1,)]
    any_shop.clock.forward(seconds=2 * SLACK)
    assert await any_shop.manager.purge_expired_sessions() == 1
    assert await any_shop.rows(COUNT) == [(0,)]


async def test_tombstones_follow_the_settings(opening: OpenShop) -> None:
    async with opening(access_token_lifetime="1h", revocation_max_staleness="10m") as shop:
        await (await shop.login()).post("/logout")
        shop.clock.forward(hours=2, minutes=9)
        assert await shop.manager.purge_expired_sessions() == 0
        shop.clock.forward(minutes=2)
        assert await shop.manager.purge_expired_sessions() == 1


async def test_tombstones_outlive_the_end_of_their_sessions(opening: OpenShop) -> None:
    async with opening(idle_timeout="5m", absolute_timeout="6m") as shop:
        await (await shop.login()).post("/logout")
        shop.clock.forward(minutes=10)
        assert await shop.manager.purge_expired_sessions() == 0
        shop.clock.forward(minutes=2)
        assert await shop.manager.purge_expired_sessions() == 1


async def test_tombstones_go_but_no_session_comes_back(any_shop: Shop) -> None:
    browser = await any_shop.login()
    copy = browser.copy()
    await browser.post("/logout")
    any_shop.clock.forward(minutes=12)
    await any_shop.manager.purge_expired_sessions()
    assert (await copy.copy().get("/me")).status == 401
    assert (await copy.post("/auth/session/refresh")).status == 401


async def test_tombstones_and_the_dead_are_purged_the_living_are_not(any_shop: Shop) -> None:
    live, revoked = await any_shop.login("alice"), await any_shop.login("bob")
    await revoked.post("/logout")
    any_shop.clock.forward(minutes=12)
    await live.get("/me")
    assert await any_shop.manager.purge_expired_sessions() == 1
    assert (await live.get("/me")).status == 200


class Fast(Clock):
    """Of a worker whose machine is an hour ahead."""

    def __init__(self, true: Clock) -> None:
        self._true = true

    def __call__(self) -> int:
        return self._true() + HOUR


def put_ahead(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of one worker's machine an hour ahead, as `Fast` tells the time."""
    clocks = shop.manager._runtime()._clocks
    monkeypatch.setattr(clocks, "read", lambda: Reading(time.time_ns() // 1_000_000 + HOUR, machine_seconds()))


HOUR = 3_600_000


async def walk(shops: Sequence[Shop], url: str, access: str, hours: int) -> None:
    """Let time pass, purge often, and show the access token of an ended session to all workers, and to new ones."""
    for step in range(hours * 12):
        shops[0].clock.forward(minutes=5)
        for shop in shops:
            grow_old(shop.manager, 300)
            await poll(shop.manager)
            await shop.manager.purge_expired_sessions()
            assert (await shop.browser().get("/me", cookies=[(ACCESS, access)])).status == 401
        if step % 5 == 1:
            async with open_shop(url, clock=shops[0].clock) as fresh:
                assert (await fresh.browser().get("/me", cookies=[(ACCESS, access)])).status == 401
    assert await shops[0].rows(COUNT) == [(0,)]  # long enough to see the tombstone go


@pytest.mark.parametrize("check", ["feed", "database"])
@pytest.mark.parametrize(("before", "after"), [("1h", "5m"), ("5m", "1h")])
async def test_tombstones_outlive_the_tokens_of_all_settings_that_there_ever_were(
    any_url: str, before: str, after: str, check: str
) -> None:
    async with open_shop(any_url, access_token_lifetime=before) as shop:
        browser = await shop.login()
        access = browser.cookies[ACCESS]
        assert (await browser.post("/logout")).status == 200
        live = (await shop.login("bob")).cookies[ACCESS]
    async with open_shop(any_url, clock=shop.clock, access_token_lifetime=after, revocation_check=check) as shop:
        shop.clock.forward(minutes=4)
        assert (await shop.browser().get("/me", cookies=[(ACCESS, live)])).status == 200
        await shop.manager.revoke_all_sessions_for_user("bob")
        await walk([shop], any_url, access, hours=3)


@pytest.mark.parametrize("check", ["feed", "database"])
async def test_tombstones_outlive_the_tokens_of_a_worker_whose_clock_is_an_hour_ahead(
    any_url: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        right = await stack.enter_async_context(open_shop(any_url, revocation_check=check))
        ahead = await stack.enter_async_context(open_shop(any_url, clock=Fast(right.clock), revocation_check=check))
        put_ahead(ahead, monkeypatch)
        browser = await ahead.login()
        access = browser.cookies[ACCESS]
        assert abs(float(claims(access)["iat"]) * 1000 - right.clock()) < 5_000
        browser.app = right.app
        assert (await browser.get("/me")).status == 200
        assert (await browser.post("/logout")).status == 200
        await walk([right, ahead], any_url, access, hours=2)


async def test_tombstones_win_over_a_promotion(any_shop: Shop) -> None:
    browser = await any_shop.login()
    any_shop.clock.forward(minutes=6)
    await browser.get("/me")  # the jar now holds a child that has not been promoted
    await any_shop.manager.revoke_all_sessions_for_user("alice")
    before = await any_shop.rows("SELECT * FROM asgi_sessions_sessions")
    any_shop.clock.forward(minutes=6)
    assert (await browser.get("/me")).status == 401
    assert await any_shop.rows("SELECT * FROM asgi_sessions_sessions") == before


@pytest.mark.parametrize("refreshes", [0, 1], ids=["head", "child"])
async def test_tombstones_a_refresh_that_has_read_before_cannot_outlive_its_revocation(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, refreshes: int
) -> None:
    browser = await any_shop.login()
    for _ in range(refreshes):
        any_shop.clock.forward(minutes=6)
        await browser.get("/me")
    await any_shop.manager.revoke_all_sessions_for_user("alice")
    find, reads = SessionRepository.find, iter([True])

    async def before_it(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        row = await find(self, handle, fresh=fresh)
        if row is None or not next(reads, False):
            return row
        return replace(row, revoked_at=None, revoked_reason=None)

    any_shop.clock.forward(minutes=6)
    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "find", before_it)
        for memory in ("__contains__", "expects_tombstones_of"):
            patch.setattr(RevocationFeed, memory, lambda *_: False)  # nor has the worker heard of it
        refreshed = await browser.post("/auth/session/refresh")
    # At worst a pair is given out once; it is good nowhere, for as long as its access token says.
    assert refreshed.status == (200 if refreshes == 0 else 401)
    for _ in range(2):
        any_shop.clock.forward(minutes=2)
        await any_shop.manager.purge_expired_sessions()
        if refreshed.status == 200:
            assert any_shop.clock.now < _expiry(browser.cookies.get(ACCESS, refreshed.set_values[ACCESS]))
            assert (await browser.copy().get("/me", cookies=list(refreshed.set_values.items()))).status == 401


def _expiry(token: str) -> int:
    return round(float(claims(token)["exp"]) * 1000)


async def test_feed_the_time_of_a_revocation_is_the_databases(any_url: str) -> None:
    clock = Clock()
    clock.forward(days=-365)  # a worker with a very wrong clock
    async with open_shop(any_url, clock=clock) as shop:
        browser = await shop.login()
        before = time.time_ns() // 1_000_000
        await browser.post("/logout")
        ((revoked_at,),) = await shop.rows("SELECT revoked_at FROM asgi_sessions_sessions")
        assert before - 2000 <= int(revoked_at) <= time.time_ns() // 1_000_000 + 2000


async def _backdate(shop: Shop, milliseconds: int) -> None:
    """Make all tombstones look as if their statements had begun so long ago, and had been committed only now."""
    await shop.change("UPDATE asgi_sessions_sessions SET revoked_at = revoked_at - :late", late=milliseconds)


async def _two_workers(stack: AsyncExitStack, url: str, **settings: Any) -> tuple[Shop, Shop]:
    one = await stack.enter_async_context(open_shop(url, **settings))
    two = await stack.enter_async_context(open_shop(url, clock=one.clock, **settings))
    await stop_polling(two.manager)
    await poll(two.manager)
    return one, two


async def test_feed_a_late_commit_is_found_by_the_next_poll(any_url: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = await _two_workers(stack, any_url)
        browser = await one.login()
        await browser.copy().post("/logout")
        await _backdate(one, 19_000)  # a statement's 5 s, a replica's 10 s, and nearly 5 s more
        browser.app = two.app
        assert (await browser.copy().get("/me")).status == 200
        await poll(two.manager)
        assert (await browser.copy().get("/me")).status == 401


async def test_feed_a_very_late_commit_is_found_within_half_a_minute(any_url: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = await _two_workers(stack, any_url)
        browser = await one.login()
        tombstones = feed_of(two.manager)._tombstones
        await tombstones.raise_clock(await tombstones.now())
        await poll(two.manager)
        grow_old(two.manager, 20)
        await poll(two.manager)  # what was under way when it read the clock has been committed by now, or never is
        await browser.copy().post("/logout")
        await _backdate(one, 300_000)
        browser.app = two.app
        await poll(two.manager)
        assert (await browser.copy().get("/me")).status == 200
        grow_old(two.manager, 30)
        await poll(two.manager)
        assert (await browser.copy().get("/me")).status == 401


async def test_feed_nothing_is_served_before_the_first_poll(any_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(TombstoneStore, "page", down)
    with pytest.raises(StoreUnavailable):
        async with open_shop(any_url):
            pass


async def test_feed_old_news_is_no_news_and_its_age_counts_from_the_start_of_a_poll(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await any_shop.login()
    await stop_polling(any_shop.manager)
    page = TombstoneStore.page

    async def slow(self: TombstoneStore, *arguments: Any, **options: Any) -> Any:
        found = await page(self, *arguments, **options)
        grow_old(any_shop.manager, 29)  # it has taken so long
        return found

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(TombstoneStore, "page", slow)
    await poll(any_shop.manager)
    assert (await browser.get("/me")).status == 200
    monkeypatch.setattr(TombstoneStore, "page", down)
    with pytest.raises(StoreUnavailable):
        await poll(any_shop.manager)
    grow_old(any_shop.manager, 2)
    refused = await browser.get("/me")
    assert (refused.status, refused.set_cookies) == (503, [])
    any_shop.clock.forward(days=-1)  # and not by a clock that somebody can set
    assert (await browser.get("/me")).status == 503


@pytest.mark.parametrize("minutes", [-1, 1])
async def test_feed_a_clock_that_is_off_is_an_error_in_the_log(
    any_url: str, minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    clock.forward(minutes=minutes)
    async with open_shop(any_url, clock=clock) as shop:
        await poll(shop.manager)
    (said,) = [record for record in caplog.records if "clock" in record.getMessage()]
    assert said.levelname == "ERROR"


async def test_feed_a_worker_remembers_for_as_long_as_the_database(any_url: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = await _two_workers(stack, any_url)
        browser = await one.login()
        await browser.copy().post("/logout")
        await poll(two.manager)
        browser.app = two.app
        await one.change("DELETE FROM asgi_sessions_sessions")  # the worker has nothing but its memory
        for _ in range(21):
            assert (await browser.copy().get("/me")).status == 401
            grow_old(two.manager, 30)  # 630 s in all
            await poll(two.manager)
        assert (await browser.copy().get("/me")).status == 401


async def test_tombstones_are_final(any_shop: Shop) -> None:
    browser = await any_shop.login()
    handle = (await browser.get("/me")).json()["handle"]
    await browser.post("/logout")
    before = await any_shop.rows("SELECT * FROM asgi_sessions_sessions")
    manager: Any = any_shop.manager
    assert await manager.revoke_session_using_session_handle(handle) is False
    assert await manager.revoke_multiple_sessions([handle]) == 0
    assert await manager.revoke_all_sessions_for_user("alice") == 0
    with pytest.raises(Exception, match="Not logged in"):
        await manager.update_session_info(handle, {"a": 1})
    assert await any_shop.rows("SELECT * FROM asgi_sessions_sessions") == before
