"""A deadline is asyncio.timeout with a second cancellation."""

import asyncio
from contextlib import suppress

import pytest

from asgi_sessions.store import cancellation
from asgi_sessions.store.cancellation import Deadline

SOON = 0.001


def cancellations() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def for_ever(*, losing: int = 0) -> None:
    """Wait, and lose so many cancellations."""
    for _ in range(losing):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_what_ends_in_time_is_left_alone() -> None:
    with Deadline(SOON):
        pass
    await asyncio.sleep(2 * SOON)
    assert cancellations() == 0


async def test_what_does_not_end_is_timed_out_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError), Deadline(SOON):
        await for_ever()
    assert cancellations() == 0
    await asyncio.sleep(0)


async def test_what_comes_on_has_its_time_anew() -> None:
    loop = asyncio.get_running_loop()
    deadline = Deadline(60)
    with deadline:
        first = deadline._timer
        deadline.renew()
        assert first.cancelled()
        assert first.when() <= deadline._timer.when() <= loop.time() + 60
    assert deadline._timer.cancelled()


async def test_a_time_that_is_over_does_not_begin_anew() -> None:
    async def too_late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            deadline.renew()
            assert deadline._cancelled == 1

    deadline = Deadline(SOON)
    with pytest.raises(TimeoutError), deadline:
        await too_late()
    assert cancellations() == 0


async def test_what_loses_the_cancellation_is_cancelled_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "SECOND_CANCELLATION_SECONDS", SOON)
    with pytest.raises(TimeoutError), Deadline(SOON):
        await for_ever(losing=3)
    assert cancellations() == 0


async def test_a_result_that_comes_with_the_cancellation_is_taken() -> None:
    with Deadline(SOON), suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert cancellations() == 0


async def test_an_error_that_comes_with_the_cancellation_passes() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Deadline(SOON):
        await fail()
    assert cancellations() == 0


async def test_somebody_elses_cancellation_passes() -> None:
    async def work() -> None:
        with Deadline(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_somebody_elses_cancellation_passes_also_when_the_time_is_over() -> None:
    async def work() -> None:
        with Deadline(SOON):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # the deadline's
                over.set()
                await asyncio.Event().wait()

    over = asyncio.Event()
    task = asyncio.create_task(work())
    await over.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_around_it_is_the_one_that_raises() -> None:
    async def work() -> None:
        with Deadline(60):
            await asyncio.Event().wait()

    around = asyncio.timeout(SOON)
    with pytest.raises(TimeoutError):
        async with around:
            await work()
    assert around.expired()
    assert cancellations() == 0
