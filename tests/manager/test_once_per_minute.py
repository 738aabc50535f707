"""A line that anybody can cause is written once a minute, and no count is lost."""

import asyncio
import logging

import pytest

from asgi_sessions.manager import once_per_minute
from asgi_sessions.manager.once_per_minute import OncePerMinute
from tests.clocks import MovableClock

LOGGER = logging.getLogger("asgi_sessions.tests.once_per_minute")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def line(clock: MovableClock) -> OncePerMinute:
    return OncePerMinute(LOGGER, logging.WARNING, clock)


def test_the_first_is_written_at_once_and_the_others_are_counted(
    line: OncePerMinute, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        line.say("refused %d", number)
    assert caplog.messages == ["refused 0"]
    clock.advance(59.999)
    line.say("refused %d", 1000)
    assert len(caplog.messages) == 1
    clock.advance(0.001)
    line.say("refused %d", 1001)
    assert caplog.messages[1:] == ["1000 more within a minute, at last: refused 1000"]
    clock.advance(60)
    line.say("refused %d", 1002)
    assert caplog.messages[2:] == ["1 more within a minute, at last: refused 1001"]


def test_what_is_seldom_is_written_each_time(
    line: OncePerMinute, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        line.say("refused %d", number)
        clock.advance(60)
    assert caplog.messages == [f"refused {number}" for number in range(3)]


def test_a_clock_that_is_set_back_silences_nothing(
    line: OncePerMinute, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    line.say("one")
    clock.advance(-3600)
    line.say("two")
    assert caplog.messages == ["one", "two"]


def test_the_first_one_has_its_traceback_and_the_count_none(
    line: OncePerMinute, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        try:
            raise OSError("away")
        except OSError:
            line.say("failed", exc_info=True)
    clock.advance(60)
    line.say("failed")
    assert [bool(record.exc_info) for record in caplog.records] == [True, False]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_the_count_is_told_though_nothing_follows(
    line: OncePerMinute, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once_per_minute, "MINUTE_MS", 10)
    for _ in range(5):
        line.say("refused")
    while len(caplog.messages) < 2:
        await asyncio.sleep(0.001)
    assert caplog.messages == ["refused", "4 more within a minute, at last: refused"]
