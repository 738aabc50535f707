"""An async function of the application may end as it likes: who waits for it goes on, unless it is cancelled itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from asgi_sessions.manager.function_call import FunctionFailed, FunctionTimedOut, result_of
from tests.patience import PATIENCE

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
