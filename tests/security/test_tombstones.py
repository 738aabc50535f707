"""Revoked sessions are remembered for as long as anything of theirs could still be believed."""

import time
from dataclasses import replace
from typing import Any

import pytest

from asgi_sessions.store.repository import SessionRepository, SessionRow
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
        shop.clock.forward(minutes=9)
        assert await shop.manager.purge_expired_sessions() == 0
        shop.clock.forward(minutes=2)
        assert await shop.manager.purge_expired_sessions() == 1


async def test_tombstones_go_but_no_session_comes_back(any_shop: Shop) -> None:
    browser = await any_shop.login()
    copy = browser.copy()
    await browser.post("/logout")
    any_shop.clock.forward(minutes=11)
    await any_shop.manager.purge_expired_sessions()
    assert (await copy.copy().get("/me")).status == 401
    assert (await copy.post("/auth/session/refresh")).status == 401


async def test_tombstones_and_the_dead_are_purged_the_living_are_not(any_shop: Shop) -> None:
    live, revoked = await any_shop.login("alice"), await any_shop.login("bob")
    await revoked.post("/logout")
    any_shop.clock.forward(minutes=11)
    await live.get("/me")
    assert await any_shop.manager.purge_expired_sessions() == 1
    assert (await live.get("/me")).status == 200


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
async def test_tombstones_a_stale_read_refresh_cannot_outlive_its_revocation(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, refreshes: int
) -> None:
    browser = await any_shop.login()
    for _ in range(refreshes):
        any_shop.clock.forward(minutes=6)
        await browser.get("/me")
    await any_shop.manager.revoke_all_sessions_for_user("alice")
    find = SessionRepository.find

    async def from_a_lagging_replica(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        row = await find(self, handle, fresh=fresh)
        return row if fresh or row is None else replace(row, revoked_at=None, revoked_reason=None)

    any_shop.clock.forward(minutes=6)
    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "find", from_a_lagging_replica)
        refreshed = await browser.post("/auth/session/refresh")
    # At worst the replica gives out a pair once; it is good nowhere, for as long as its access token says.
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
