"""A task is ended even where what it awaits loses a cancellation."""

import asyncio

import pytest

from asgi_sessions.store import cancellation
from asgi_sessions.store.cancellation import end_task


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_it_cancels_until_the_task_has_ended(monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    monkeypatch.setattr(cancellation, "SECOND_CANCELLATION_SECONDS", 0.01)
    cancellations = 0

    async def loses_some() -> None:
        nonlocal cancellations
        while cancellations <= lost:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1

    task = asyncio.create_task(loses_some())
    await asyncio.sleep(0)
    await end_task(task)
    ended = task.done()
    while not task.done():  # else a failure would hang
        task.cancel()
        await asyncio.sleep(0)
    assert ended
    assert cancellations == lost + 1


async def test_it_takes_a_task_that_has_failed() -> None:
    async def fails() -> None:
        raise ValueError("a mistake")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await end_task(task)
    assert isinstance(task.exception(), ValueError)
