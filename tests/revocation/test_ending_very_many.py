"""More of a user's sessions than one statement may end: parts, each of them committed by itself.

What has ended stays ended, whatever becomes of the rest, and is refused here at once. Who calls again ends the rest.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from asgi_sessions import SessionEvent, StoreUnavailable
from asgi_sessions.manager import revoking
from asgi_sessions.protocol import user_id
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.revocation.polling import poll, stop_polling
from tests.revocation.tombstones import Cemetery
from tests.security.browser import Browser
from tests.security.shop import Shop, open_shop
from tests.security.statements import counted

QUICK_SECONDS = 0.3
"""For a statement that meets a lock which nobody gives up."""
LONG_SECONDS = 60.0
"""No test waits for so long unless it fails."""
AT_ONCE = 4
BATCH = 2
SESSIONS = 24
"""Handles are random: in so many one half is never empty."""


@pytest.fixture
def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
async def shop(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """A worker that polls when it is told to, and ends few sessions with one statement."""
    monkeypatch.setattr(revoking, "REVOKE_BATCH", BATCH)
    async with open_shop(url, max_sessions_per_user=None) as shop:
        await stop_polling(shop.manager)
        repository_of(shop).at_once = AT_ONCE
        monkeypatch.setattr(SessionRepository, "parts_of_all", some_parts)  # so few handles tell little
        yield shop


async def some_parts(_: SessionRepository) -> int:
    return SESSIONS // AT_ONCE


def repository_of(shop: Shop) -> SessionRepository:
    return shop.manager.lifecycle._sessions


async def logged_in(shop: Shop, count: int = SESSIONS) -> list[Browser]:
    return [await shop.login() for _ in range(count)]


async def handles_of(browsers: list[Browser]) -> list[str]:
    return [(await browser.copy().get("/me")).json()["handle"] for browser in browsers]


async def served(browsers: list[Browser], path: str = "/me", *, by: Shop | None = None) -> int:
    """How many of them are, where the others are told that their session has ended."""
    statuses = []
    for browser in browsers:
        copy = browser.copy()
        copy.app = copy.app if by is None else by.app
        statuses.append((await copy.get(path)).status)
    assert set(statuses) <= {200, 401}
    return statuses.count(200)


@pytest.fixture
def told(shop: Shop) -> list[SessionEvent]:
    events: list[SessionEvent] = []

    @shop.manager.on_session_revoked
    async def tell(event: SessionEvent) -> None:
        events.append(event)

    return events


def before_statement(shop: Shop, number: int, happens: Callable[[], Awaitable[None]]) -> None:
    """Have something happen before the so many-th statement that ends some of many sessions, from 0."""
    repository = repository_of(shop)
    done = 0

    def wrapped(method: Any) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done == number + 1:
                await happens()
            return await method(*arguments, **options)

        return call

    repository.revoke_part = wrapped(repository.revoke_part)  # type: ignore[method-assign]
    repository.revoke_many = wrapped(repository.revoke_many)  # type: ignore[method-assign]
    repository.revoke_any_part = wrapped(repository.revoke_any_part)  # type: ignore[method-assign]


class Lock:
    """Somebody else's transaction on all of the sessions."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self) -> None:
        await self._connection.exec_driver_sql("BEGIN")
        await self._connection.exec_driver_sql("UPDATE asgi_sessions_sessions SET device_label = 'x'")

    async def give_up(self) -> None:
        await self._connection.exec_driver_sql("ROLLBACK")


@pytest.fixture
async def lock(database: Database) -> AsyncIterator[Lock]:
    async with database.engine.connect() as connection:
        yield Lock(connection)
        await connection.invalidate()  # a test that has failed may not have given it up


End = Callable[[Shop, list[str]], Coroutine[Any, Any, int]]


async def all_of_them(shop: Shop, handles: list[str]) -> int:
    return await shop.manager.revoke_all_sessions_for_user("alice")


async def several(shop: Shop, handles: list[str]) -> int:
    return await shop.manager.revoke_multiple_sessions(handles)


async def everybodys(shop: Shop, handles: list[str]) -> int:
    return await shop.manager.revoke_sessions()


both_forms = pytest.mark.parametrize("end", [all_of_them, several], ids=lambda end: end.__name__)
every_form = pytest.mark.parametrize("end", [all_of_them, several, everybodys], ids=lambda end: end.__name__)


# -- all of it


@both_forms
async def test_when_the_call_returns_all_of_them_are_refused_here(
    shop: Shop, end: End, told: list[SessionEvent]
) -> None:
    browsers, other = await logged_in(shop), await shop.login("bob")
    assert await end(shop, await handles_of(browsers)) == SESSIONS
    for _ in range(2):
        assert await served(browsers) == 0
        assert await served([other]) == 1
        await poll(shop.manager)
    await asyncio.sleep(0)
    assert [event.details["count"] for event in told] == [SESSIONS]
    assert await end(shop, await handles_of([])) == 0


async def test_all_others_are_all_but_one(shop: Shop) -> None:
    kept, *browsers = await logged_in(shop)
    (handle,) = await handles_of([kept])
    assert await shop.manager.revoke_all_sessions_for_user("alice", except_handle=handle) == SESSIONS - 1
    for _ in range(2):
        assert (await served(browsers), await served([kept])) == (0, 1)
        await poll(shop.manager)


async def test_no_statement_ends_many_more_than_it_may_and_each_is_committed_before_the_next(
    shop: Shop, database: Database
) -> None:
    cemetery, repository = Cemetery(database), repository_of(shop)
    await cemetery.fill(1000, ending_at=await cemetery.now(), live=True, owner=user_id.encode("alice"))
    repository.at_once = 100
    revoked = build_tables().sessions.c.revoked_at
    part, ended = repository.revoke_part, [0]

    async def looked_at(*arguments: Any, **options: Any) -> int:
        count = await part(*arguments, **options)
        ended.append(ended[-1] + count)
        seen = await database.run(select(func.count()).where(revoked.is_not(None)))
        assert seen.rows[0][0] == ended[-1], "others see it"
        return count

    repository.revoke_part = looked_at  # type: ignore[method-assign]
    with counted() as statements:
        assert await shop.manager.revoke_all_sessions_for_user("alice") == 1000
    assert len(ended) == 11
    assert max(after - before for before, after in itertools.pairwise(ended)) < 200
    assert len([statement for statement in statements if statement.startswith("UPDATE")]) == 11


async def test_who_logs_in_again_is_served(shop: Shop) -> None:
    await logged_in(shop)
    await shop.manager.revoke_all_sessions_for_user("alice")
    assert await served([await shop.login()]) == 1


# -- a part of it


@every_form
async def test_after_a_failure_in_the_middle_what_has_ended_is_refused_and_the_next_call_ends_the_rest(
    shop: Shop, url: str, lock: Lock, end: End, told: list[SessionEvent]
) -> None:
    browsers = await logged_in(shop)
    handles = await handles_of(browsers)
    async with open_shop(url, clock=shop.clock) as elsewhere:
        own: Database = repository_of(shop)._run.__self__  # type: ignore[attr-defined]
        usual = own.statement_timeout

        async def lock_up() -> None:
            if own.dialect == "sqlite":
                await own.run(text(f"PRAGMA busy_timeout = {QUICK_SECONDS * 1000 / 3:.0f}"))
            await lock.take()
            own.statement_timeout = QUICK_SECONDS

        before_statement(shop, 3, lock_up)
        with pytest.raises(StoreUnavailable):
            await end(shop, handles)
        own.statement_timeout = usual
        left = await served(browsers)
        assert 0 < left < SESSIONS
        assert await served(browsers, "/checked") == left
        await asyncio.sleep(0)
        assert [event.details["count"] for event in told] == [SESSIONS - left], "it has happened"
        if end is several:
            assert told[0].details["session_handles"] == handles[: SESSIONS - left]
        await poll(shop.manager, elsewhere.manager)
        assert await served(browsers) == await served(browsers, by=elsewhere) == left
        await lock.give_up()
        # The statement that was given up here may go through now, all the same.
        assert 0 < await end(shop, handles) <= left
        await poll(elsewhere.manager)
        assert await served(browsers) == await served(browsers, by=elsewhere) == 0


@every_form
async def test_after_a_cancellation_in_the_middle_what_has_ended_is_refused(
    shop: Shop, end: End, told: list[SessionEvent]
) -> None:
    browsers = await logged_in(shop)
    handles = await handles_of(browsers)
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    before_statement(shop, 3, hang)
    ending = asyncio.create_task(end(shop, handles))
    async with asyncio.timeout(LONG_SECONDS):
        await reached.wait()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    left = await served(browsers)
    assert 0 < left < SESSIONS
    await poll(shop.manager)
    assert await served(browsers) == left
    await asyncio.sleep(0)
    assert [event.details["count"] for event in told] == [SESSIONS - left]
    assert await end(shop, handles) == left
    assert await served(browsers) == 0
