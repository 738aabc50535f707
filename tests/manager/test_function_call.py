"""An async function of the application may end as it likes: who waits for it goes on, unless it is cancelled itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from asgi_sessions import SessionSettings
from asgi_sessions.manager import asked_function, hook_lane, provided_keys
from asgi_sessions.manager.audit import SessionEvent
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.function_call import FunctionFailed, FunctionTimedOut, result_of
from asgi_sessions.manager.hook_lane import HookLane
from asgi_sessions.manager.limit_function import LimitByUser
from asgi_sessions.manager.provided_keys import ProvidedKeys
from asgi_sessions.revocation.pulse import LATE_SECONDS
from asgi_sessions.settings import manager_log
from tests.clocks import MovableClock
from tests.leaping_loop import Leap, run_leaping
from tests.patience import PATIENCE
from tests.store.rows import session_row

Function = Callable[[], Awaitable[Any]]


async def cancelled_by_somebody_else() -> None:
    """Awaits what many share and the first of them has given up: an answer of a service, a connection."""
    shared = asyncio.get_running_loop().create_future()
    shared.cancel()
    await shared


async def _cancelled_task() -> None:
    shared = asyncio.create_task(asyncio.Event().wait())
    shared.cancel()
    await shared


async def _group() -> NoReturn:
    raise BaseExceptionGroup("several", [asyncio.CancelledError(), ValueError()])


async def _generator_exit() -> NoReturn:
    raise GeneratorExit


async def _timeout() -> NoReturn:
    raise TimeoutError


async def _hangs() -> None:
    await asyncio.Event().wait()


async def test_what_it_returns_is_passed_on() -> None:
    async def doubled(number: int) -> int:
        return 2 * number

    assert await result_of(doubled, 21, seconds=PATIENCE) == 42


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (cancelled_by_somebody_else, "CancelledError"),
        (_cancelled_task, "CancelledError"),
        (_group, "BaseExceptionGroup"),
        (_generator_exit, "GeneratorExit"),
    ],
)
async def test_whatever_it_ends_in_is_an_exception(function: Function, says: str) -> None:
    with pytest.raises(FunctionFailed, match=f"it raised {says}") as failure:
        await result_of(function, seconds=PATIENCE)
    assert type(failure.value.__cause__).__name__ == says
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)  # nor is anything left that cancels the caller later


async def test_a_timeout_of_its_own_is_its_own_error() -> None:
    with pytest.raises(TimeoutError):
        await result_of(_timeout, seconds=PATIENCE)


async def _gives_up() -> None:
    try:
        await _hangs()
    except asyncio.CancelledError as error:
        raise LookupError from error


async def _gives_up_in_a_group() -> None:
    try:
        await _hangs()
    except asyncio.CancelledError as error:
        raise BaseExceptionGroup("several", [error]) from error


@pytest.mark.parametrize("function", [_hangs, _gives_up, _gives_up_in_a_group])
async def test_what_takes_too_long_is_cancelled_whatever_it_makes_of_that(function: Function) -> None:
    with pytest.raises(FunctionTimedOut, match=r"it took longer than 0\.001 s"):
        await result_of(function, seconds=0.001)


@pytest.mark.parametrize("function", [_hangs, _gives_up, _gives_up_in_a_group])
async def test_who_waits_can_be_cancelled_whatever_it_makes_of_that(function: Function) -> None:
    waiting = asyncio.create_task(result_of(function, seconds=PATIENCE))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_who_was_cancelled_before_and_went_on_is_not_cancelled_once_more() -> None:
    async def goes_on() -> None:
        try:
            await _hangs()
        except asyncio.CancelledError:
            await result_of(cancelled_by_somebody_else, seconds=PATIENCE)

    waiting = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(FunctionFailed):
        await waiting


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_stops_the_process_goes_on(stop: type[BaseException], wrapped: bool) -> None:
    async def stops() -> NoReturn:
        raise BaseExceptionGroup("several", [ValueError(), stop()]) if wrapped else stop()

    with asyncio.Runner() as runner, pytest.raises(BaseExceptionGroup if wrapped else stop):
        runner.run(result_of(stops, seconds=PATIENCE))


async def test_a_coroutine_that_is_closed_does_not_go_on() -> None:
    async def waits() -> None:
        await result_of(_hangs, seconds=PATIENCE)

    coroutine = waits()
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    coroutine.close()
    task.cancel()
    await asyncio.wait([task])
    assert isinstance(task.exception(), RuntimeError)  # of the task: its coroutine is no more


# -- the event loop stands still


class Works:
    """A function of each kind: the loop stands still while it is at work."""

    def __init__(self, leap: Leap, seconds: float) -> None:
        self._leap = leap
        self._seconds = seconds

    async def __call__(self, *given: Any) -> Any:
        asyncio.get_running_loop().call_soon(self._stand_still)
        await asyncio.sleep(0.02)
        return given

    def _stand_still(self) -> None:
        self._leap.now += self._seconds


async def _payload_by_claims(leap: Leap) -> Any:
    claims = Claims(MovableClock())

    @claims.set
    async def function(user_id: Any, payload: Any) -> Any:
        return await Works(leap, asked_function.ASKED_SECONDS + 0.1)(user_id, payload)

    return await claims.ask(session_row())


async def _limit(leap: Leap) -> Any:
    limit = LimitByUser(MovableClock())

    @limit.set
    async def function(user_id: Any, payload: Any) -> Any:
        return len(await Works(leap, asked_function.ASKED_SECONDS + 0.1)(user_id, payload))

    return await limit.of(session_row(), 100)


async def _hook(leap: Leap) -> Any:
    heard = []

    async def hook(event: SessionEvent) -> None:
        (told,) = await Works(leap, hook_lane.HOOK_SECONDS + 0.1)(event)
        heard.append(told.name)

    lane = HookLane(hook)
    lane.tell(SessionEvent("session.created", None, None))
    await asyncio.wait(lane.running)
    return heard


async def _key(leap: Leap) -> Any:
    async def provide() -> str:
        await Works(leap, provided_keys.PROVIDER_TIMEOUT_SECONDS + 0.1)()
        return "0123456789abcdef0123456789abcdef"

    async def database_time() -> int:
        return MovableClock()()

    settings = SessionSettings()
    clocks = Clocks(settings, MovableClock(), database_time)
    keys = ProvidedKeys(provide, "HS256", clocks, manager_log(__name__, settings))
    return [key.secret for key in (await keys.load()).keys]


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (_payload_by_claims, ("alice", {"role": "user"})),
        (_limit, (2, True)),
        (_hook, ["session.created"]),
        (_key, [b"0123456789abcdef0123456789abcdef"]),
    ],
)
def test_a_standstill_cuts_off_no_function(work: Callable[[Leap], Any], result: Any) -> None:
    assert run_leaping(work) == result


def cut_off_at(standstills: list[float], every: float = 0.0) -> float:
    """When a function that hangs and has two seconds is cut off.

    Args:
        standstills: For how long the loop stands still, one after the other.
        every: For how long it runs before each of them.
    """

    async def stand_still(leap: Leap) -> None:
        for seconds in standstills:
            await asyncio.sleep(every)
            leap.now += seconds

    async def wait(leap: Leap) -> float:
        standing_still = asyncio.create_task(stand_still(leap))
        with pytest.raises(FunctionTimedOut):
            await result_of(_hangs, seconds=2)
        standing_still.cancel()
        return round(leap.now, 3)

    return run_leaping(wait)


def test_what_hangs_is_cut_off_in_time() -> None:
    assert cut_off_at([]) == 2


@pytest.mark.parametrize("seconds", [LATE_SECONDS + 0.01, 2.1, 3600])
def test_a_standstill_counts_for_one_beat(seconds: float) -> None:
    assert cut_off_at([seconds]) == round(seconds + 1.8, 3)


def test_a_loop_that_is_a_little_late_gives_no_more_time() -> None:
    assert cut_off_at([LATE_SECONDS - 0.11] * 20, every=0.1) <= 2 + LATE_SECONDS


def test_what_hangs_is_cut_off_though_the_loop_stands_still_again_and_again() -> None:
    assert cut_off_at([10] * 50, every=0.01) < 110
