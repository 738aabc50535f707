"""Nothing irreversible by a worker's own clock: it does not start; one that runs goes by the database's."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, SessionManager, SessionSettings
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.clocks import MovableClock
from tests.manager.conftest import SECRET, NewManager
from tests.manager.test_signing_keys import accepts, issue, key_id
from tests.revocation.polling import poll

DAY = 86_400_000
HOUR = 3_600_000


class Machine:
    """The clock of this machine, for all managers of a test that were given none.

    Attributes:
        ahead: How far it is ahead of the true time, ms.
    """

    ahead = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead * 1_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("asgi_sessions.protocol.clock.time_ns", machine)
    return machine


def worker(url: str, **settings: Any) -> SessionManager:
    values = {"database_url": url, "secret_key": SECRET, "purge_interval": 0, **settings}
    return SessionManager(SessionSettings(**values))


@pytest.mark.parametrize("ahead", [-15 * DAY, -40_000, 40_000, 15 * DAY])
async def test_a_worker_that_is_too_far_off_does_not_start_and_says_why(
    ahead: int, store_url: str, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.ahead = ahead
    with pytest.raises(ConfigurationError) as refused:
        await worker(store_url).start()
    assert "goes by the database's time" not in caplog.text  # it does not: it is not there
    (said,) = refused.value.problems
    assert said.startswith("max_clock_difference: this machine's clock says 20")
    assert "the database's 20" in said
    assert f"{abs(ahead) // 1000 - 1}" in said or f"{abs(ahead) // 1000}" in said


@pytest.mark.parametrize(("ahead", "setting"), [(20_000, "30s"), (-20_000, "30s"), (HOUR, "2h")])
async def test_one_within_the_setting_does(ahead: int, setting: str, store_url: str, machine: Machine) -> None:
    machine.ahead = ahead
    async with worker(store_url, max_clock_difference=setting) as sessions:
        await accepts(sessions, await issue(sessions))


async def test_the_setting_may_be_stricter(store_url: str, machine: Machine) -> None:
    machine.ahead = 5_000
    with pytest.raises(ConfigurationError, match="at most 2s are allowed"):
        await worker(store_url, max_clock_difference="2s").start()


@pytest.mark.parametrize("ahead", [-15 * DAY, 15 * DAY])
async def test_a_worker_whose_clock_is_set_wrong_purges_nothing_and_says_so(
    ahead: int, store_url: str, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(store_url, policy="aal2") as sessions:
        for _ in range(20):
            await sessions.create_new_session_without_request("alice")
        keys = len(sessions.lifecycle.keys.keyring.keys)
        machine.ahead = ahead
        with caplog.at_level(logging.ERROR, "asgi_sessions"):
            assert await sessions.purge_expired_sessions() == 0
        assert "Nothing was purged: this machine's clock says" in caplog.text
        assert len(await sessions.get_all_session_handles_for_user("alice")) == 20
        assert len(sessions.lifecycle.keys.keyring.keys) == keys
        machine.ahead = 0
        assert await sessions.purge_expired_sessions() == 0
        assert len(await sessions.get_all_session_handles_for_user("alice")) == 20


def answers_wrongly_once(sessions: SessionManager, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """Have the next one who asks the database for its time meet a node that is wrong."""
    clocks = sessions.lifecycle.clock
    right = clocks._ask_database

    async def wrong() -> int:
        monkeypatch.setattr(clocks, "_ask_database", right)
        return await right() + ahead

    monkeypatch.setattr(clocks, "_ask_database", wrong)


@pytest.mark.parametrize("ahead", [-15 * DAY, 15 * DAY])
async def test_one_answer_of_a_wrong_node_puts_the_purge_off_and_sets_no_time(
    ahead: int, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(store_url, idle_timeout="1h", access_token_lifetime="1s") as sessions:
        issued = await sessions.create_new_session_without_request("alice")
        answers_wrongly_once(sessions, monkeypatch, ahead)
        with caplog.at_level(logging.ERROR, "asgi_sessions"):
            assert await sessions.purge_expired_sessions() == 0
        assert f"{15 * DAY // 1000}.0 s apart" in caplog.text or f"{15 * DAY // 1000 - 1}.9 s apart" in caplog.text
        assert abs(sessions.lifecycle.clock() - time.time_ns() // 1_000_000) < DAY
        assert abs(sessions.lifecycle.clock.database_time() - time.time_ns() // 1_000_000) < DAY
        await sessions.refresh_session_without_request(issued.refresh_token.value)


@pytest.mark.parametrize("ahead", [-15 * DAY, 15 * DAY])
async def test_one_answer_of_a_wrong_node_makes_no_key_and_the_next_request_makes_it(
    ahead: int, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(store_url) as sessions:
        keys = sessions.lifecycle.keys
        await keys._access._add(1, keys._clock() + 15 * DAY)  # so that another one is due
        answers_wrongly_once(sessions, monkeypatch, ahead)
        await keys._load(strict=False)
        assert len(await keys._access._store.load("access")) == 2
        assert abs(sessions.lifecycle.clock() - time.time_ns() // 1_000_000) < DAY
        assert await accepts(sessions, await issue(sessions))
        newest = (await keys._access._store.load("access"))[-1]
        assert newest.serial == 2
        assert abs(newest.signs_from - time.time_ns() // 1_000_000) < DAY


async def test_such_a_worker_leaves_the_purge_to_others(
    store_url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(store_url) as sessions:
        runtime = sessions._runtime()
        machine.ahead = 15 * DAY
        assert not await runtime._may_purge()
        asked: list[str] = []
        monkeypatch.setattr(runtime._leases, "acquire", lambda *_: asked.append("lease"))
        monkeypatch.setattr("asyncio.sleep", _three_times())
        with pytest.raises(Enough):
            await runtime._purge_for_ever(HOUR)
        assert asked == []


class Enough(Exception):
    pass


def _three_times() -> Any:
    left = 3

    async def sleep(_: float) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Enough

    return sleep


async def test_the_purge_goes_by_the_databases_time(store_url: str, machine: Machine) -> None:
    async with worker(store_url, idle_timeout="1h", max_clock_difference="3h") as sessions:
        await sessions.create_new_session_without_request("alice")
        machine.ahead = 2 * HOUR  # over by this worker's clock, which is within the setting
        assert await sessions.purge_expired_sessions() == 0
        machine.ahead = -2 * HOUR
        await sessions.create_new_session_without_request("alice")
        assert await sessions.purge_expired_sessions() == 1  # over by the database's


@pytest.mark.parametrize("ahead", [-15 * DAY, 15 * DAY])
@pytest.mark.parametrize("due", [False, True])
async def test_a_worker_whose_clock_is_set_wrong_makes_no_key(
    ahead: int, due: bool, store_url: str, machine: Machine
) -> None:
    async with worker(store_url) as sessions:
        keys = sessions.lifecycle.keys
        first = key_id(await issue(sessions))
        if due:  # by everybody's time: the newest one does not begin for days
            await keys._access._add(1, keys._clock() + 15 * DAY)
        machine.ahead = ahead
        for _ in range(3):
            assert key_id(await issue(sessions)) == first
            await keys._load(strict=False)
        assert len(await keys._access._store.load("access")) == 1 + due
        machine.ahead = 0
        await issue(sessions)
        assert len(await keys._access._store.load("access")) == 1 + 2 * due


@asynccontextmanager
async def with_far_key(new_manager: NewManager, clock: MovableClock, serial: int) -> AsyncIterator[SessionManager]:
    """A worker that finds a key which a worker 15 days ahead has made."""
    async with new_manager(signing_key_lifetime="1h") as sessions:
        keys = sessions.lifecycle.keys
        store: SigningKeyStore = keys._access._store
        if serial == 0:  # the bad worker was the first one
            await store.remove_before("access", 1)
        await keys._access._add(serial, clock.now + 15 * DAY)
    async with new_manager(signing_key_lifetime="1h") as sessions:
        yield sessions


@pytest.mark.parametrize("serial", [0, 1])
async def test_a_key_for_a_day_to_come_does_not_stop_the_others_rotation(
    serial: int, new_manager: NewManager, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        async with with_far_key(new_manager, clock, serial) as sessions:
            assert "a worker whose clock was wrong has made it" in caplog.text
            far = next(key for key in sessions.lifecycle.keys.keyring.keys if key.signs_from > clock.now + DAY)
            used, old = set(), await issue(sessions)
            for _ in range(24):
                used.add(key_id(await issue(sessions)))
                clock.advance(60)
                used.add(key_id(await issue(sessions)))
                clock.advance(3540)
            assert 24 <= len(used) <= 26
            if serial:
                assert far.key_id not in used
            assert not await accepts(sessions, old)
            for _ in range(20):  # and when its day has come it does not come back
                clock.advance(days=1)
                await issue(sessions)
                clock.advance(60)
                assert key_id(await issue(sessions)) != far.key_id


async def test_keys_are_made_and_used_by_the_databases_time(store_url: str, machine: Machine) -> None:
    machine.ahead = 25_000
    async with worker(store_url) as sessions:
        (row,) = await sessions.lifecycle.keys._access._store.load("access")
        now = time.time_ns() // 1_000_000
        assert now - 10_000 <= row.signs_from <= now + 1_000
        assert now - 10_000 <= row.created_at <= now + 1_000


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_it_logs_nobody_out(ahead: int, store_url: str, machine: Machine) -> None:
    async with worker(store_url, policy="aal2") as right, worker(store_url, policy="aal2") as wrong:
        issued = await right.create_new_session_without_request("alice")
        machine.ahead = ahead
        await poll(wrong)
        assert await accepts(wrong, issued.access_token.value)
        refreshed = await wrong.refresh_session_without_request(issued.refresh_token.value)
        late = await wrong.refresh_session_without_request(issued.refresh_token.value)  # a parallel tab, no thief
        assert await accepts(wrong, refreshed.access_token.value)
        machine.ahead = 0
        await poll(right, wrong)
        assert await accepts(right, refreshed.access_token.value)
        assert await accepts(right, late.access_token.value)
