import time
from datetime import timedelta

import pytest

from asgi_sessions.testing import MovableClock


def test_it_starts_at_the_real_time() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= MovableClock()() <= time.time_ns() // 1_000_000


def test_it_stands() -> None:
    clock = MovableClock()
    assert clock() == clock() == clock.now


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [(1, 1000), (0.0015, 2), (timedelta(minutes=5), 300_000), (timedelta(milliseconds=7), 7), (-2, -2000), (0, 0)],
)
def test_it_moves_by_seconds_or_a_timedelta(duration: timedelta | float, milliseconds: int) -> None:
    clock = MovableClock()
    before = clock()
    clock.advance(duration)
    assert clock() - before == milliseconds


def test_its_repr_shows_the_time() -> None:
    clock = MovableClock()
    clock.now = 17
    assert repr(clock) == "<MovableClock 17>"
