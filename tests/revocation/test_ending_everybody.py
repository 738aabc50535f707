"""Everybody's sessions: who was logged in when the call began is out when it returns, elsewhere after a poll."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select

from asgi_sessions import SessionEvent, StoreUnavailable
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.patience import PATIENCE
from tests.revocation.polling import feed_of, poll, stop_polling
from tests.revocation.tombstones import Cemetery
from tests.security.browser import Browser
from tests.security.shop import ACCESS, Shop, open_shop
from tests.security.statements import counted

USERS = ("alice", "bob", "42")
LITTLE_MEMORY = 64_000
MORE_THAN_IT_HOLDS = 10_000
"""They end in five or six parts, by their handles, and the memory holds some hundreds of the last one on PostgreSQL."""


@pytest.fixture
def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    """A worker that polls when it is told to."""
    async with open_shop(url) as shop:
        await stop_polling(shop.manager)
        yield shop


async def logged_in(shop: Shop) -> list[Browser]:
    return [await shop.login(user) for user in USERS]


async def handle_of(browser: Browser) -> str:
    return str((await browser.copy().get("/me")).json()["handle"])


async def statuses(*browsers: Browser, path: str = "/me", by: Shop | None = None) -> list[int]:
    found = []
    for browser in browsers:
        copy = browser.copy()
        copy.app = copy.app if by is None else by.app
        found.append((await copy.get(path)).status)
    return found


def repository_of(shop: Shop) -> SessionRepository:
    return shop.manager.lifecycle._sessions


# -- who is out


@pytest.mark.parametrize("reads", ["hang", "fail"])
async def test_everybody_is_refused_here_whatever_becomes_of_the_reads(
    shop: Shop, reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers, kept = await logged_in(shop), await shop.login("carol")

    async def page(*_: Any, **__: Any) -> Any:
        if reads == "fail":
            raise StoreUnavailable
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr(feed_of(shop.manager)._tombstones, "page", page)
        polling = asyncio.create_task(feed_of(shop.manager).poll())
        await asyncio.sleep(0)
        assert await shop.manager.revoke_sessions(except_handle=await handle_of(kept)) == len(USERS)
        later = await shop.login("alice")
        for _ in range(2):
            assert await statuses(*browsers, kept, later) == [401, 401, 401, 200, 200]
            assert await statuses(*browsers, path="/checked") == [401, 401, 401]
        polling.cancel()
        with suppress(asyncio.CancelledError, StoreUnavailable):
            await polling
    await poll(shop.manager)
    assert await statuses(*browsers, kept, later) == [401, 401, 401, 200, 200]


async def test_refreshes_are_refused_too(shop: Shop) -> None:
    browsers = await logged_in(shop)
    await shop.manager.revoke_sessions()
    shop.clock.forward(minutes=6)
    assert await statuses(*browsers) == [401, 401, 401]


async def test_every_other_worker_refuses_them_after_a_poll(url: str, shop: Shop) -> None:
    browsers, kept = await logged_in(shop), await shop.login("carol")
    async with open_shop(url, clock=shop.clock) as elsewhere:
        await stop_polling(elsewhere.manager)
        await shop.manager.revoke_sessions(except_handle=await handle_of(kept))
        await poll(elsewhere.manager)
        assert await statuses(*browsers, kept, by=elsewhere) == [401, 401, 401, 200]


async def test_until_the_next_poll_everybodys_requests_ask_the_database_and_then_nobodys(shop: Shop) -> None:
    await logged_in(shop)
    kept = await shop.login("carol")
    await shop.manager.revoke_sessions(except_handle=await handle_of(kept))
    with counted() as statements:
        assert await statuses(kept) == [200]
    assert len(statements) == 1
    await poll(shop.manager)
    with counted() as statements:
        assert await statuses(kept) == [200]
    assert statements == []


async def test_those_that_began_before_a_time_are_ended_and_the_others_are_not(shop: Shop) -> None:
    early = await logged_in(shop)
    shop.clock.forward(minutes=1)
    moment = from_ms(shop.clock.now).astimezone(timezone(timedelta(hours=-3)))
    late = await logged_in(shop)
    assert await shop.manager.revoke_sessions(before=moment) == len(USERS)
    for _ in range(2):
        assert await statuses(*early, *late) == [401] * 3 + [200] * 3
        await poll(shop.manager)
    assert await shop.manager.revoke_sessions(before=moment) == 0
    assert await shop.manager.revoke_sessions(before=moment + timedelta(milliseconds=1)) == len(USERS)


async def test_a_session_that_a_clock_ahead_of_ours_began_is_one_of_all(url: str, shop: Shop) -> None:
    async with open_shop(url) as ahead:
        ahead.clock.forward(seconds=59)
        browser = await ahead.login()
    assert await shop.manager.revoke_sessions() == 1
    assert await statuses(browser, by=shop) == [401]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"before": datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001 - that is the mistake
        ({"before": 1_700_000_000_000}, TypeError),
        ({"before": datetime.now(UTC).date()}, TypeError),
        ({"except_handle": "laptop"}, ValueError),
        ({"except_handle": ""}, ValueError),
        ({"except_handle": 1}, TypeError),
        ({"progress": 1}, TypeError),
        ({"progress": asyncio.sleep}, TypeError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
async def test_a_wrong_argument_is_named_and_ends_nothing(
    arguments: dict[str, Any], error: type[Exception], shop: Shop
) -> None:
    browsers = await logged_in(shop)
    ((name, _),) = arguments.items()
    with pytest.raises(error, match=name):
        await shop.manager.revoke_sessions(**arguments)
    assert await statuses(*browsers) == [200, 200, 200]


# -- part by part


async def test_parts_of_about_the_same_size_are_committed_one_by_one_and_told(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cemetery, repository = Cemetery(database), repository_of(shop)
    now = await cemetery.now()
    for user in USERS:
        await cemetery.fill(1000, ending_at=now, live=True, owner=user_id.encode(user))
    await cemetery.fill(1000, ending_at=now)
    monkeypatch.setattr(repository, "at_once", 200)
    revoked_reason = build_tables().sessions.c.revoked_reason
    told, seen, announced = [0], [0], []
    part = repository.revoke_any_part

    async def looked_at(*arguments: Any, **options: Any) -> int:
        count = await part(*arguments, **options)
        outcome = await database.run(select(func.count()).where(revoked_reason == "logout_everybody"))
        seen.append(outcome.rows[0][0])
        return count

    monkeypatch.setattr(repository, "revoke_any_part", looked_at)
    monkeypatch.setattr(shop.manager.lifecycle.revoker, "_announce", lambda: announced.append(seen[-1]))
    assert await shop.manager.revoke_sessions(progress=told.append) == 3000
    assert told == seen, "others see what has ended"
    assert announced == told[1:], "each part is news for the other workers"
    assert 13 <= len(told) - 1 <= 30, "4,000 rows, 200 at once, as far as the first 200 tell"
    assert max(after - before for before, after in itertools.pairwise(told)) < 400


async def test_what_happened_is_told_once(shop: Shop, database: Database) -> None:
    await logged_in(shop)
    repository_of(shop).at_once = 1
    events: list[SessionEvent] = []

    @shop.manager.on_session_revoked
    async def tell(event: SessionEvent) -> None:
        events.append(event)

    await shop.manager.revoke_sessions()
    await shop.manager.revoke_sessions()
    await asyncio.sleep(0)
    assert [(event.session_handle, event.user_id, dict(event.details)) for event in events] == [
        (None, None, {"reason": "logout_everybody", "count": len(USERS)})
    ]
    rows = await shop.rows("SELECT DISTINCT revoked_reason FROM asgi_sessions_sessions")
    assert rows == [("logout_everybody",)]


async def test_progress_that_raises_ends_the_call_and_what_has_ended_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers = [await shop.login() for _ in range(24)]
    monkeypatch.setattr(SessionRepository, "parts_of_all", _three_parts)

    def enough(count: int) -> None:
        raise LookupError(count)

    with pytest.raises(LookupError) as caught:
        await shop.manager.revoke_sessions(progress=enough)
    (ended,) = caught.value.args
    assert 0 < ended < 24
    assert (await statuses(*browsers)).count(401) == ended
    assert await shop.manager.revoke_sessions() == 24 - ended


async def _three_parts(_: SessionRepository) -> int:
    return 3


async def test_other_logouts_and_logins_go_on_meanwhile(url: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    browsers = [await shop.login() for _ in range(24)]
    handles = [await handle_of(browser) for browser in browsers]
    monkeypatch.setattr(SessionRepository, "parts_of_all", _three_parts)
    ending = asyncio.create_task(shop.manager.revoke_sessions())
    async with open_shop(url, clock=shop.clock) as elsewhere:
        by_handle = asyncio.gather(
            *(elsewhere.manager.revoke_session_using_session_handle(handle) for handle in handles[:6]),
            elsewhere.manager.revoke_multiple_sessions(handles[6:12]),
            elsewhere.manager.revoke_all_sessions_for_user("alice"),
        )
        logins = asyncio.gather(*(elsewhere.login("dave") for _ in range(6)))
        ended = sum(await by_handle) + await ending
        newcomers = await logins
        assert 24 <= ended <= 30, "each was ended by one of them; of those who came meanwhile some, perhaps"
        assert await statuses(*browsers) == [401] * 24
        await poll(shop.manager, elsewhere.manager)
        out = await statuses(*newcomers, by=elsewhere)
        assert out.count(401) == ended - 24
        assert await statuses(*newcomers, by=shop) == out
        assert await statuses(await elsewhere.login("dave"), by=shop) == [200]


# -- more than a worker remembers


async def test_more_than_revocation_memory_holds_are_refused_all_the_same(url: str, database: Database) -> None:
    # Tombstones of one time are read in the order of their idle ends: these are the last, for whom there is no room.
    settings: dict[str, Any] = {"revocation_memory": LITTLE_MEMORY, "idle_timeout": "1h"}
    async with open_shop(url, **settings) as here, open_shop(url, clock=here.clock, **settings) as elsewhere:
        await stop_polling(here.manager)
        await stop_polling(elsewhere.manager)
        browsers, cemetery = await logged_in(here), Cemetery(database)
        await cemetery.fill(MORE_THAN_IT_HOLDS, ending_at=await cemetery.now(), live=True)
        browsers, kept = browsers + await logged_in(here), await here.login("carol")
        handles = [await handle_of(browser) for browser in browsers]
        keep = await handle_of(kept)
        assert await here.manager.revoke_sessions(except_handle=keep) == MORE_THAN_IT_HOLDS + 2 * len(USERS)
        assert await statuses(*browsers, kept, by=here) == [401] * 6 + [200]
        await poll(here.manager, elsewhere.manager)
        for worker in (here, elsewhere):
            feed = feed_of(worker.manager)
            assert (feed.is_overflowing, feed.expects_tombstones) == (True, False)
            assert not all(handle in feed for handle in handles), "on PostgreSQL each row has a time of its own"
            later = await worker.login("alice")
            assert await statuses(*browsers, kept, later, by=worker) == [401] * 6 + [200, 200]
        async with open_shop(url, clock=here.clock, **settings) as started_since:
            assert await statuses(*browsers, kept, by=started_since) == [401] * 6 + [200]


# -- open sockets and streams, and whoever else waits


@pytest.mark.parametrize("check", ["feed", "database", "none"])
async def test_whoever_waits_here_hears_of_it_at_once(check: str, url: str) -> None:
    async with open_shop(url, revocation_check=check) as shop:
        if check != "none":
            await stop_polling(shop.manager)
        browsers = [*await logged_in(shop), await shop.login("carol")]
        *ended, kept = [await shop.manager.get_session_without_request(each.cookies[ACCESS]) for each in browsers]
        waiting = [asyncio.create_task(session.wait_until_ended()) for session in ended]
        staying = asyncio.create_task(kept.wait_until_ended())
        await asyncio.sleep(0.05)
        await shop.manager.revoke_sessions(except_handle=kept.session_handle)
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE)
        assert len(done) == len(USERS)
        assert not staying.done()
        staying.cancel()
        await asyncio.wait([staying])
