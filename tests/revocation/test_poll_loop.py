"""When polls begin, on an event loop whose time passes only while nothing else is to be done."""

import asyncio
from typing import Any
from unittest.mock import create_autospec

import pytest

from asgi_sessions.revocation.maintenance import Maintenance
from asgi_sessions.revocation.poll_loop import PollLoop
from tests.leaping_loop import Leap, run_leaping


def begun_polls(interval: float, lasts: float, *, wakes_at: float | None = None) -> tuple[list[float], int]:
    """When the first four polls begin, each of which lasts so long; and how often maintenance was begun."""
    begun, maintenance = [], create_autospec(Maintenance, instance=True)

    async def tell(_: Leap) -> None:
        loop, enough = asyncio.get_running_loop(), asyncio.Event()

        async def poll() -> Any:
            begun.append(round(loop.time(), 6))
            if len(begun) == 4:
                enough.set()
            await asyncio.sleep(lasts)
            return object()

        polls = PollLoop(interval, poll, maintenance)
        polls.start()
        if wakes_at is not None:
            loop.call_at(wakes_at, polls.wake)
        await enough.wait()
        await polls.stop()

    run_leaping(tell)
    return begun, maintenance.run.call_count


@pytest.mark.parametrize(
    ("lasts", "begin"),
    [
        (0.0, [1, 2, 3, 4]),
        (0.6, [1, 2, 3, 4]),
        (0.75, [1, 2, 3, 4]),
        (0.9, [1, 2.15, 3.3, 4.45]),
        (2.0, [1, 3.25, 5.5, 7.75]),
    ],
)
def test_a_poll_begins_in_time_however_long_the_one_before_has_taken(lasts: float, begin: list[float]) -> None:
    assert begun_polls(1.0, lasts) == (begin, 3)


def test_a_wake_up_moves_no_poll_that_is_due_and_makes_no_maintenance() -> None:
    assert begun_polls(1.0, 0.1, wakes_at=1.5) == ([1, 1.5, 2, 3], 2)
