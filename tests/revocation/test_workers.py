"""Several workers on one database: what ends a session counts at once where it was done, elsewhere by a poll."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from asgi_sessions import SessionManager, StoreUnavailable, TokenTheftDetected, TryRefreshToken, Unauthorised
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository, SessionRow
from tests.revocation.polling import feed_of, grow_old, poll, stop_polling
from tests.security.browser import Answer, Browser
from tests.security.shop import ACCESS, REFRESH, Clock, Shop, open_shop
from tests.security.statements import counted

OpenWorker = Callable[..., Awaitable[Shop]]


@pytest.fixture
def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
async def open_worker(url: str) -> AsyncIterator[OpenWorker]:
    """Workers that poll when they are told to, with one clock."""
    clock = Clock()
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Shop:
            shop = await stack.enter_async_context(open_shop(url, clock=clock, **settings))
            if settings.get("revocation_check") != "none":
                await stop_polling(shop.manager)
            return shop

        yield opened


@pytest.fixture
async def one(open_worker: OpenWorker) -> Shop:
    return await open_worker()


@pytest.fixture
async def two(open_worker: OpenWorker) -> Shop:
    return await open_worker()


def at(shop: Shop, browser: Browser) -> Browser:
    """The same cookies, shown to a worker; what it answers does not change them."""
    copy = browser.copy()
    copy.app = shop.app
    return copy


async def ask(shop: Shop, browser: Browser, path: str = "/me") -> Answer:
    return await at(shop, browser).get(path)


async def statuses(shop: Shop, *browsers: Browser) -> list[int]:
    return [(await ask(shop, browser)).status for browser in browsers]


async def handle_of(browser: Browser) -> str:
    return str((await browser.get("/me")).json()["handle"])


CLEARS = {ACCESS, REFRESH}


# -- the ways in which sessions end


async def by_handle(shop: Shop, browsers: list[Browser]) -> None:
    for browser in browsers:
        assert await shop.manager.revoke_session_using_session_handle(await handle_of(browser)) is True


async def all_of_a_user(shop: Shop, browsers: list[Browser]) -> None:
    assert await shop.manager.revoke_all_sessions_for_user("alice") == len(browsers)


async def many(shop: Shop, browsers: list[Browser]) -> None:
    handles = [await handle_of(browser) for browser in browsers]
    assert await shop.manager.revoke_multiple_sessions(handles) == len(browsers)


async def by_logout(shop: Shop, browsers: list[Browser]) -> None:
    for browser in browsers:
        answer = await at(shop, browser).post("/auth/signout")
        assert (answer.status, answer.cleared) == (200, CLEARS)


async def by_the_session_itself(shop: Shop, browsers: list[Browser]) -> None:
    for browser in browsers:
        session = await shop.manager.get_session_without_request(browser.cookies[ACCESS])
        await session.revoke_session()


@pytest.mark.parametrize(
    "end", [by_handle, all_of_a_user, many, by_logout, by_the_session_itself], ids=lambda end: end.__name__
)
async def test_what_ended_is_refused_at_once_here_and_elsewhere_from_the_next_poll_on(
    one: Shop, two: Shop, end: Callable[[Shop, list[Browser]], Awaitable[None]]
) -> None:
    browsers, other = [await one.login() for _ in range(3)], await one.login("bob")
    assert await statuses(two, *browsers, other) == [200] * 4
    await end(one, browsers)
    assert await statuses(one, *browsers, other) == [401, 401, 401, 200]
    assert await statuses(two, *browsers, other) == [200] * 4, "it cannot have heard"
    await poll(two.manager)
    assert await statuses(two, *browsers, other) == [401, 401, 401, 200]
    for shop in (one, two):
        for browser in browsers:
            refused = await ask(shop, browser)
            assert (refused.status, refused.code, refused.cleared) == (401, "unauthorised", CLEARS)


async def test_the_others_of_a_user_end_and_this_one_stays(one: Shop, two: Shop) -> None:
    kept, lost = await one.login(), await one.login()
    assert (await kept.post("/auth/sessions/revoke-others")).status == 200
    await poll(two.manager)
    for shop in (one, two):
        assert await statuses(shop, kept, lost) == [200, 401]


async def test_a_session_that_a_login_replaces_is_out_and_its_jar_is_spared(one: Shop, two: Shop) -> None:
    old = await one.login()
    jar = at(one, old)
    assert (await jar.post("/login/alice")).status == 200
    await poll(two.manager)
    for shop in (one, two):
        refused = await ask(shop, old)
        assert (refused.status, refused.set_cookies) == (401, []), "this jar holds the next session already"
        assert (await ask(shop, jar)).status == 200
    one.clock.forward(minutes=3)
    refused = await ask(two, old)
    assert (refused.status, refused.cleared) == (401, CLEARS), "but not for ever"


async def test_theft_is_felt_everywhere(one: Shop, two: Shop) -> None:
    victim = await one.login()
    thief = victim.copy()
    for _ in range(3):
        one.clock.forward(minutes=6)
        assert (await victim.get("/me")).status == 200
    await poll(two.manager)
    assert await statuses(two, victim) == [200]
    assert (await at(one, thief).get("/me")).code == "token_theft_detected"
    assert await statuses(one, victim) == [401]
    await poll(two.manager)
    refused = await ask(two, victim)
    assert (refused.status, refused.cleared) == (401, CLEARS)


async def test_an_evicted_session_is_out(open_worker: OpenWorker) -> None:
    one, two = [await open_worker(max_sessions_per_user=2) for _ in range(2)]
    browsers = []
    for _ in range(3):
        browsers.append(await one.login())
        one.clock.forward(seconds=1)
    assert await statuses(one, *browsers) == [401, 200, 200]
    await poll(two.manager)
    assert await statuses(two, *browsers) == [401, 200, 200]


async def test_a_worker_that_starts_later_knows(one: Shop, open_worker: OpenWorker) -> None:
    browser, other = await one.login(), await one.login("bob")
    await one.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(await open_worker(), browser, other) == [401, 200]


async def test_the_purge_of_a_tombstone_brings_no_token_back(one: Shop, two: Shop) -> None:
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")
    await poll(two.manager)
    await one.change("DELETE FROM asgi_sessions_sessions")
    refused = await ask(two, browser)
    assert (refused.status, refused.cleared) == (401, CLEARS)


# -- a node that has not heard


def lag(monkeypatch: pytest.MonkeyPatch, *, also_strong: bool = False) -> None:
    """Let reads come from a node that has not heard of any revocation."""
    find = SessionRepository.find

    async def lagging(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        row = await find(self, handle, fresh=fresh)
        return row if row is None or (fresh and not also_strong) else replace(row, revoked_at=None, revoked_reason=None)

    monkeypatch.setattr(SessionRepository, "find", lagging)


async def test_a_stale_read_lets_no_revoked_session_through(
    one: Shop, two: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")
    await poll(two.manager)
    lag(monkeypatch)
    for shop in (one, two):
        refused = await ask(shop, browser)
        assert (refused.status, refused.cleared) == (401, CLEARS), "the strong read knows"


async def test_even_where_no_read_knows_the_session_is_refused_and_the_cookies_stay(
    one: Shop, two: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")
    await poll(one.manager, two.manager)
    lag(monkeypatch, also_strong=True)
    for shop in (one, two):
        refused = await ask(shop, browser)
        assert (refused.status, refused.set_cookies) == (401, [])


async def test_asking_the_database_is_no_weaker_than_the_feed(
    one: Shop, two: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await one.manager.create_new_session_without_request("alice")
    await one.manager.revoke_all_sessions_for_user("alice")
    await poll(two.manager)
    lag(monkeypatch)
    for shop in (one, two):
        with pytest.raises(Unauthorised):
            await shop.manager.get_session_without_request(issued.access_token.value, check_database=True)
        with pytest.raises(Unauthorised):
            await shop.manager.refresh_session_without_request(issued.refresh_token.value)


async def test_a_logout_that_another_worker_was_faster_with_counts_here_at_once(one: Shop, two: Shop) -> None:
    issued = await one.manager.create_new_session_without_request("alice")
    handle = issued.session.session_handle
    assert await two.manager.revoke_session_using_session_handle(handle) is True
    await one.manager.get_session_without_request(issued.access_token.value)  # it has not heard
    assert await one.manager.revoke_session_using_session_handle(handle) is False
    with pytest.raises(Unauthorised):
        await one.manager.get_session_without_request(issued.access_token.value)


async def test_a_revoked_session_whose_row_cannot_be_asked_is_not_served(
    one: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(SessionRepository, "find", down)
    refused = await ask(one, browser)
    assert (refused.status, refused.set_cookies) == (503, [])


async def test_a_revocation_outlasts_a_poll_that_fails(one: Shop, two: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, other = await one.login(), await one.login()

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        for shop in (one, two):
            patch.setattr(feed_of(shop.manager)._tombstones, "page", down)
        assert await one.manager.revoke_all_sessions_for_user("alice") == 2, "it is written, whoever has heard of it"
        with pytest.raises(StoreUnavailable):
            await poll(two.manager)
    for shop in (one, two):
        await poll(shop.manager)
        assert await statuses(shop, browser, other) == [401, 401]


# -- statements


async def test_a_verified_request_is_no_statement_and_a_refused_one_is_one(one: Shop, two: Shop) -> None:
    browser = await one.login()
    with counted() as statements:
        for shop in (one, two):
            for path in ("/me", "/perhaps"):
                assert (await ask(shop, browser, path)).status == 200
    assert statements == []
    await one.manager.revoke_session_using_session_handle(await handle_of(browser))
    with counted() as statements:
        assert (await ask(one, browser)).status == 401
    assert len(statements) == 1


async def test_a_poll_of_a_running_worker_is_one_statement(one: Shop) -> None:
    with counted() as statements:
        await poll(one.manager)
    assert len(statements) == 1


async def test_ending_sessions_is_one_statement_and_one_more_where_there_are_none(one: Shop) -> None:
    browsers = [await one.login() for _ in range(5)]
    handles = [await handle_of(browser) for browser in browsers]
    with counted() as statements:
        await one.manager.revoke_session_using_session_handle(handles[0])
        await one.manager.revoke_multiple_sessions(handles[:3])
        await one.manager.revoke_all_sessions_for_user("alice")
        await one.manager.revoke_all_sessions_for_user("nobody")
    assert [statement.split()[0] for statement in statements] == [*["UPDATE"] * 4, "SELECT"]


# -- the other settings


async def test_first_use_of_a_token_of_a_revoked_session_is_refused(open_worker: OpenWorker) -> None:
    one, two = [await open_worker(promote_on="first_use") for _ in range(2)]
    browser = await one.login()
    one.clock.forward(minutes=6)
    assert (await browser.get("/me")).status == 200  # the jar holds a child that nobody has used
    used = at(two, browser)
    assert (await used.get("/me")).status == 200
    await one.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(one, browser) == [401]
    await poll(two.manager)
    refused = await ask(two, used)
    assert (refused.status, refused.cleared) == (401, CLEARS)


async def test_with_the_refresh_endpoint(open_worker: OpenWorker) -> None:
    one, two = [await open_worker(refresh="endpoint") for _ in range(2)]
    browser = one.browser()
    answer = await browser.post("/login/alice")
    await one.manager.revoke_all_sessions_for_user("alice")
    await poll(two.manager)
    for shop in (one, two):
        refused = await ask(shop, browser)
        assert (refused.status, refused.code) == (401, "unauthorised")
        assert refused.cleared == set(answer.set_values)
        assert (await at(shop, browser).post("/auth/session/refresh")).status == 401


@pytest.mark.parametrize("transport", ["header", "any"])
async def test_with_tokens_in_headers(open_worker: OpenWorker, transport: str) -> None:
    one, two = [await open_worker(token_transport=transport) for _ in range(2)]
    issued = await one.manager.create_new_session_without_request("alice")
    bearer = [("authorization", f"Bearer {issued.access_token.value}")]
    for shop in (one, two):
        assert (await shop.browser().get("/me", bearer)).status == 200
    await one.manager.revoke_session_using_session_handle(issued.session.session_handle)
    await poll(two.manager)
    for shop in (one, two):
        refused = await shop.browser().get("/me", bearer)
        assert (refused.status, refused.set_cookies) == (401, [])


async def test_without_a_request(one: Shop, two: Shop) -> None:
    issued = await one.manager.create_new_session_without_request("alice")
    token = issued.access_token.value
    await issued.session.revoke_session()
    await two.manager.get_session_without_request(token)
    with pytest.raises(Exception, match="Not logged in"):
        await two.manager.get_session_without_request(token, check_database=True)
    await poll(two.manager)
    for shop in (one, two):
        with pytest.raises(Exception, match="Not logged in"):
            await shop.manager.get_session_without_request(token)


async def test_a_worker_that_asks_the_database_needs_no_poll(one: Shop, open_worker: OpenWorker) -> None:
    two = await open_worker(revocation_check="database")
    browser = await one.login()
    with counted() as statements:
        assert await statuses(two, browser) == [200]
    assert len(statements) == 1
    await one.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(two, browser) == [401]
    grow_old(two.manager, 3600)
    live = await one.login()
    assert await statuses(two, live) == [200], "how old the news is does not matter to it"


async def test_a_route_may_ask_the_database_by_itself(one: Shop, two: Shop) -> None:
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")
    assert (await ask(two, browser)).status == 200
    assert (await ask(two, browser, "/checked")).status == 401


async def test_a_worker_that_checks_nothing_polls_nothing_and_says_so(open_worker: OpenWorker, one: Shop) -> None:
    two = await open_worker(revocation_check="none")
    assert two.manager.revocation_staleness is None
    assert two.manager.lifecycle._feed is None
    browser = await one.login()
    await one.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(two, browser) == [200]
    assert (await ask(two, browser, "/checked")).status == 401
    own = await two.login()
    await two.manager.revoke_all_sessions_for_user("alice")
    assert await statuses(two, own) == [200], "until the token expires: that is what was asked for"
    await poll(one.manager)
    assert await statuses(one, own) == [401]


# -- staleness


async def test_how_stale_the_news_is_can_be_read(one: Shop) -> None:
    await poll(one.manager)
    staleness = one.manager.revocation_staleness
    assert staleness is not None
    assert 0 <= staleness.total_seconds() < 30
    grow_old(one.manager, 100)
    staleness = one.manager.revocation_staleness
    assert staleness is not None
    assert 100 <= staleness.total_seconds() < 130
    await poll(one.manager)
    staleness = one.manager.revocation_staleness
    assert staleness is not None
    assert staleness.total_seconds() < 30


async def test_too_stale_is_503_with_the_cookies_kept_and_one_poll_later_all_is_well(
    one: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await one.login()

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(feed_of(one.manager)._tombstones, "page", down)
        with pytest.raises(StoreUnavailable):
            await poll(one.manager)
        grow_old(one.manager, 31)
        for path in ("/me", "/perhaps", "/auth/session"):
            refused = await ask(one, browser, path)
            assert (refused.status, refused.code, refused.set_cookies) == (503, "store_unavailable", [])
            assert refused.all("retry-after") == ["1"]
        assert (await ask(one, browser, "/checked")).status == 200, "the database itself was asked"
        assert (await one.browser().get("/public")).status == 200
    await poll(one.manager)
    assert await statuses(one, browser) == [200]


# -- event loops


def test_two_event_loops_with_one_manager_have_a_feed_each(database_url: str) -> None:
    from asgi_sessions import SessionSettings
    from tests.security.shop import SECRET

    settings = SessionSettings(database_url=database_url, secret_key=SECRET, purge_interval=0)
    sessions = SessionManager(settings)
    issued: list[Any] = []
    feeds: list[Any] = []
    logged_in, ended = threading.Event(), threading.Event()
    refused: list[bool] = []

    async def first() -> None:
        async with sessions:
            feeds.append(await stop_polling(sessions))
            issued.append(await sessions.create_new_session_without_request("alice"))
            logged_in.set()
            assert await asyncio.to_thread(ended.wait, 60)
            token = issued[0].access_token.value
            await sessions.get_session_without_request(token)
            await poll(sessions)
            try:
                await sessions.get_session_without_request(token)
            except Exception:
                refused.append(True)

    async def second() -> None:
        assert await asyncio.to_thread(logged_in.wait, 60)
        async with sessions:
            feeds.append(await stop_polling(sessions))
            await sessions.revoke_all_sessions_for_user("alice")
            try:
                await sessions.get_session_without_request(issued[0].access_token.value)
            except Exception:
                refused.append(True)
        ended.set()

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert refused == [True, True]
    assert len(set(map(id, feeds))) == 2


async def test_stopping_a_manager_leaves_no_poll_behind(url: str) -> None:
    before = asyncio.all_tasks()
    async with open_shop(url):
        assert any("revocation" in task.get_name() for task in asyncio.all_tasks())
    assert asyncio.all_tasks() == before


async def test_nobody_is_judged_by_what_the_feed_knows_of_others(one: Shop) -> None:
    browsers = [await one.login(f"user{number}") for number in range(10)]
    for number in range(0, 10, 2):
        await one.manager.revoke_all_sessions_for_user(f"user{number}")
    assert await statuses(one, *browsers) == [401, 200] * 5
    issued = await one.manager.create_new_session_without_request("alice")
    one.clock.forward(minutes=6)
    with pytest.raises(TryRefreshToken):
        await one.manager.get_session_without_request(issued.access_token.value)
    following = await one.manager.refresh_session_without_request(issued.refresh_token.value)
    one.clock.forward(minutes=6)
    third = await one.manager.refresh_session_without_request(following.refresh_token.value)
    one.clock.forward(minutes=6)
    await one.manager.refresh_session_without_request(third.refresh_token.value)
    with pytest.raises(TokenTheftDetected):
        await one.manager.refresh_session_without_request(issued.refresh_token.value)
