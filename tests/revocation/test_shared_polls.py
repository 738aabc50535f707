"""Callers who want to know share a poll, but only one that began after they asked."""

import asyncio
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from tests.revocation.conftest import Worker
from tests.revocation.tombstones import Cemetery, some_handle


class Gate:
    """Holds the answer of a page back until it is opened."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self._page = worker.store.page
        self.waiting = asyncio.Event()
        self.open = asyncio.Event()
        monkeypatch.setattr(worker.store, "page", self._held)

    async def _held(self, *arguments: Any, **options: Any) -> Any:
        found = await self._page(*arguments, **options)
        self.waiting.set()
        await self.open.wait()
        return found


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def gate(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Gate:
    await worker.feed.poll()
    return Gate(worker, monkeypatch)


async def test_callers_share_the_poll_that_begins_after_their_call(
    worker: Worker, cemetery: Cemetery, gate: Gate
) -> None:
    worker.store.places.clear()
    under_way = asyncio.create_task(worker.feed.poll())
    await gate.waiting.wait()
    handle = some_handle()
    await cemetery.bury(handle)  # after the poll under way has read
    callers = [asyncio.create_task(worker.feed.poll()) for _ in range(20)]
    await settle()
    assert not any(caller.done() for caller in callers)
    gate.open.set()
    await asyncio.gather(under_way, *callers)
    assert len(worker.store.places) == 2
    assert worker.feed.is_revoked(handle) is True


async def test_one_after_the_other_each_has_a_poll_of_its_own(worker: Worker, cemetery: Cemetery) -> None:
    for expected in range(1, 4):
        await worker.feed.poll()
        assert len(worker.store.places) == expected


async def test_a_poll_that_failed_is_nobody_elses_success(worker: Worker, cemetery: Cemetery, gate: Gate) -> None:
    under_way = asyncio.create_task(worker.feed.poll())
    await gate.waiting.wait()
    handle = some_handle()
    await cemetery.bury(handle)
    # The one that the callers share fails: none of them takes that for news, nor waits for another one.
    callers = [asyncio.create_task(worker.feed.poll()) for _ in range(3)]
    await settle()
    worker.store.failures = [StoreUnavailable()]
    worker.store.places.clear()
    gate.open.set()
    results = await asyncio.gather(under_way, *callers, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), *[StoreUnavailable] * 3]
    assert len(worker.store.places) == 1
    assert worker.feed.is_revoked(handle) is False
    await worker.feed.poll()
    assert worker.feed.is_revoked(handle) is True


async def test_a_caller_who_leaves_takes_nobody_along(worker: Worker, cemetery: Cemetery, gate: Gate) -> None:
    under_way = asyncio.create_task(worker.feed.poll())
    await gate.waiting.wait()
    handle = some_handle()
    await cemetery.bury(handle)
    first, second, third = [asyncio.create_task(worker.feed.poll()) for _ in range(3)]
    await settle()
    second.cancel()
    under_way.cancel()
    gate.open.set()
    results = await asyncio.gather(under_way, first, second, third, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        type(None),
        asyncio.CancelledError,
        type(None),
    ]
    assert worker.feed.is_revoked(handle) is True
