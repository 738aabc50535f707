"""A worker's clock held against the database's: what is told, and when the worker is too far off."""

import logging
from dataclasses import dataclass

import pytest

from asgi_sessions import SessionSettings
from asgi_sessions.manager import clocks as module
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.protocol.clock import Clock, system_clock
from tests.clocks import START, MovableClock

HOUR = 3_600_000


@dataclass
class Machine:
    """A machine and its database, whose time goes on when a test says so.

    Attributes:
        true: The database's time, ms.
        ahead: The machine's clock is so far ahead of it, ms.
        node: So far ahead is the one node of the database that is asked, ms.
    """

    true: int = START
    ahead: int = 0
    node: int = 0

    def time_ns(self) -> int:
        return (self.true + self.ahead) * 1_000_000

    def elapsed(self) -> float:
        return self.true / 1000

    async def database_now(self) -> int:
        return self.true + self.node

    def pass_by(self, milliseconds: int) -> None:
        self.true += milliseconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("asgi_sessions.protocol.clock.time_ns", machine.time_ns)
    monkeypatch.setattr(module, "machine_seconds", machine.elapsed)
    return machine


@pytest.fixture
def clocks(machine: Machine) -> Clocks:
    return Clocks(SessionSettings(), system_clock, machine.database_now)


@pytest.mark.parametrize("ahead", [-30_000, -1, 0, 1, 30_000])
async def test_within_the_setting_the_workers_own_clock_is_told(ahead: int, machine: Machine, clocks: Clocks) -> None:
    machine.ahead = ahead
    await clocks.measure()
    assert not clocks.too_far_off
    assert clocks() == clocks.now() == machine.true + ahead
    assert clocks.database_time() == machine.true
    assert clocks.corrected(7) == 7


@pytest.mark.parametrize("ahead", [-15 * 24 * HOUR, -30_001, 30_001, HOUR])
async def test_beyond_it_the_databases_time_is_told_and_carried_on(
    ahead: int, machine: Machine, clocks: Clocks
) -> None:
    machine.ahead = ahead
    await clocks.measure()
    assert clocks.too_far_off
    machine.pass_by(700)
    assert clocks() == clocks.now() == clocks.database_time() == machine.true
    assert clocks.corrected(machine.true + ahead) == machine.true


async def test_a_slow_answer_is_no_difference(machine: Machine, clocks: Clocks) -> None:
    for of_the_way in (0, 60_000, 120_000):
        asked = clocks.read()
        machine.pass_by(of_the_way)
        said = await machine.database_now()
        machine.pass_by(120_000 - of_the_way)
        clocks.heard(asked, said)
        assert not clocks.too_far_off
        assert clocks() == machine.true


async def test_a_slow_answer_hides_no_difference_that_is_larger(machine: Machine, clocks: Clocks) -> None:
    machine.ahead = HOUR
    for _ in range(2):
        asked = clocks.read()
        machine.pass_by(5_000)
        clocks.heard(asked, await machine.database_now())
    assert clocks.too_far_off
    assert abs(clocks() - machine.true) <= 5_000


async def test_a_clock_that_is_set_while_the_database_answers(machine: Machine, clocks: Clocks) -> None:
    asked = clocks.read()
    machine.pass_by(100)
    machine.ahead = HOUR
    clocks.heard(asked, await machine.database_now())
    assert clocks.too_far_off
    assert abs(clocks() - machine.true) <= 100


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_a_clock_that_is_set_between_two_polls_is_noticed_by_whoever_asks_for_the_time(
    ahead: int, machine: Machine, clocks: Clocks
) -> None:
    await clocks.measure()
    machine.pass_by(200)
    machine.ahead = ahead
    assert clocks() == machine.true
    assert clocks.database_time() == machine.true
    machine.ahead = 0
    assert clocks() == machine.true
    assert not clocks.too_far_off


async def test_the_next_poll_notices_it_too(machine: Machine, clocks: Clocks) -> None:
    await clocks.measure()
    machine.ahead = HOUR
    clocks.heard(clocks.read(), machine.true)
    assert clocks.now() == machine.true


async def test_simulated_time_stands_for_the_databases_clock_too(machine: Machine) -> None:
    simulated = MovableClock(START + 1000 * HOUR)
    clocks = Clocks(SessionSettings(), simulated, machine.database_now)
    await clocks.measure()
    assert clocks() == clocks.database_time() == simulated.now
    simulated.advance(days=100)
    assert clocks() == clocks.database_time() == simulated.now
    machine.ahead = 60_000  # of the machine's clock, which is held against the database's in any case
    await clocks.measure()
    assert clocks.too_far_off
    assert clocks() == simulated.now - 60_000


async def test_it_is_said_once_and_once_when_it_is_over(
    machine: Machine, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        machine.ahead = 90_000
        for _ in range(5):
            machine.pass_by(500)
            await clocks.measure()
        machine.ahead = 0
        for _ in range(5):
            machine.pass_by(500)
            await clocks.measure()
    off, again = caplog.records
    assert (off.levelname, again.levelname) == ("ERROR", "WARNING")
    assert "max_clock_difference" in off.getMessage()
    assert "2027-01-15 08:01:30Z, the database's 2027-01-15 08:00:00Z: 90.0 s apart" in off.getMessage()
    assert "agree again" in again.getMessage()


async def test_nodes_that_disagree_do_not_fill_the_log(
    machine: Machine, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        for poll in range(100):
            machine.pass_by(500)
            clocks.heard(clocks.read(), machine.true + (60_000 if poll % 4 < 2 else 0))
    assert len(caplog.records) == 2


async def test_what_a_single_poll_says_is_not_believed_before_the_next_one(machine: Machine, clocks: Clocks) -> None:
    for node in (0, 60_000) * 10:
        clocks.heard(clocks.read(), machine.true + node)
        assert clocks() == machine.true
    clocks.heard(clocks.read(), machine.true + 60_000)
    assert clocks() == machine.true + 60_000
    clocks.heard(clocks.read(), machine.true)  # who agrees with the machine is believed at once
    assert clocks() == machine.true


@pytest.mark.parametrize("node", [-HOUR, HOUR])
async def test_a_single_answer_before_something_irreversible_holds_it_back_and_changes_no_time(
    node: int, machine: Machine, clocks: Clocks
) -> None:
    assert await clocks.measure()
    followed: list[Clock] = []
    clocks.follow(followed.append)
    for _ in range(3):
        machine.node = node
        assert not await clocks.measure()
        assert f"{HOUR // 1000}.0 s apart" in clocks.describe()
        assert clocks() == clocks.now() == clocks.database_time() == machine.true
        assert not clocks.too_far_off
        machine.node = 0
        assert await clocks.measure()
    assert len(followed) == 1
    machine.node = node
    assert not await clocks.measure()
    clocks.heard(clocks.read(), machine.true + node)  # the next poll says the same
    assert clocks() == machine.true + node


async def test_a_follower_gets_the_clock_that_is_right(machine: Machine, clocks: Clocks) -> None:
    seen: list[Clock] = []
    clocks.follow(seen.append)
    await clocks.measure()
    machine.ahead = HOUR
    await clocks.measure()
    await clocks.measure()
    machine.ahead = 0
    await clocks.measure()
    assert [clock() for clock in seen] == [machine.true] * 3
    assert seen[0] is seen[2] is system_clock
