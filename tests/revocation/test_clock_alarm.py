"""The log says whose clocks differ, by how much, and says it once."""

import logging

import pytest

from asgi_sessions.revocation.clock_alarm import PAUSE_SECONDS, ClockAlarm
from asgi_sessions.store.tombstones import Page
from tests.clocks import MovableClock, Seconds

START = 1_800_000_000_000


class Nodes:
    """The database, of which one node answers at a time.

    Attributes:
        name: Of the node that answers.
        ahead: By how much the clocks of the nodes are ahead of the worker's, ms.
        asked: How often the time was asked for by itself.
        slow: How long an answer takes, ms.
    """

    def __init__(self, clock: MovableClock, **ahead: int) -> None:
        self._clock = clock
        self.ahead = ahead
        self.name = next(iter(ahead))
        self.asked = 0
        self.slow = 0

    def page(self, *, newest_ahead: int = -1000, slow: int = 0) -> Page:
        """A poll's page, at hand `slow` ms after it was read."""
        now = self._clock() + self.ahead[self.name]
        self._clock.now += slow
        return Page(now, 0, (), None, now + newest_ahead, 0)

    async def node(self) -> tuple[int, str]:
        self.asked += 1
        self._clock.now += self.slow
        now = self._clock() + self.ahead[self.name]
        self._clock.now += self.slow
        return now, self.name


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "asgi_sessions.revocation.clock_alarm")
    return caplog


def alarm_of(nodes: Nodes, clock: MovableClock, seconds: Seconds) -> ClockAlarm:
    return ClockAlarm(nodes, clock, seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("ahead", [25_000, -60_000, 3_600_000])
async def test_the_node_is_named_and_said_once(said: pytest.LogCaptureFixture, ahead: int) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=ahead)
    alarm = alarm_of(nodes, clock, seconds)
    for _ in range(3):
        await alarm.look(nodes.page())
        seconds.now += PAUSE_SECONDS
    (record,) = said.records
    assert record.levelname == "ERROR"
    assert f"This worker's clock is {-ahead / 1000:+.1f} s off that of the database's node db1:" in record.message


async def test_the_other_nodes_that_it_knows_are_named_too(said: pytest.LogCaptureFixture) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=0, db2=-60_000)
    alarm = alarm_of(nodes, clock, seconds)
    await alarm.look(nodes.page())
    assert said.records == []
    nodes.name = "db2"  # a failover
    seconds.now += PAUSE_SECONDS
    await alarm.look(nodes.page())
    (record,) = said.records
    assert "is +60.0 s off that of the database's node db2 (+0.0 s off that of db1)" in record.message


async def test_a_node_that_is_behind_another_one_is_told_so(said: pytest.LogCaptureFixture) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=0)
    alarm = alarm_of(nodes, clock, seconds)
    for _ in range(3):
        await alarm.look(nodes.page(newest_ahead=25_000))
        seconds.now += PAUSE_SECONDS
    (record,) = said.records
    assert "nodes differ: a session was ended at a time 25.0 s ahead of that of the node db1." in record.message


async def test_where_clocks_agree_nothing_is_said_and_nothing_asked(said: pytest.LogCaptureFixture) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=4_000)
    alarm = alarm_of(nodes, clock, seconds)
    for _ in range(10):
        await alarm.look(nodes.page(newest_ahead=900))
        seconds.now += PAUSE_SECONDS
    assert nodes.asked == 1, "at the start, to know the node by its name"
    assert said.records == []


async def test_a_clock_that_is_off_is_asked_about_once_a_minute(said: pytest.LogCaptureFixture) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=0)
    alarm = alarm_of(nodes, clock, seconds)
    await alarm.look(nodes.page())
    nodes.ahead["db1"] = 10_000
    for _ in range(100):
        await alarm.look(nodes.page())
        seconds.now += PAUSE_SECONDS / 50
    assert nodes.asked == 1 + 2
    assert len(said.records) == 1


async def test_an_answer_that_takes_long_is_no_wrong_clock(said: pytest.LogCaptureFixture) -> None:
    clock, seconds = MovableClock(START), Seconds()
    nodes = Nodes(clock, db1=0)
    alarm = alarm_of(nodes, clock, seconds)
    nodes.slow = 30_000
    for _ in range(3):
        await alarm.look(nodes.page(slow=60_000))
        seconds.now += PAUSE_SECONDS
    assert nodes.asked == 3
    assert said.records == []
