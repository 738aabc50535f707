"""The first purge comes soon after the start, whatever the interval."""

import asyncio

import pytest

from asgi_sessions import SessionManager, SessionSettings


class Enough(Exception):
    pass


@pytest.mark.parametrize(
    ("interval_ms", "pauses"),
    [(86_400_000, [60, 86_400, 86_400]), (10_000, [10, 10, 10])],
)
async def test_the_first_purge_waits_a_minute_at_most_and_the_next_ones_the_interval(
    interval_ms: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == len(pauses):
            raise Enough

    async with SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0)) as sessions:
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", sleep)
            with pytest.raises(Enough):
                await sessions._runtime()._purge_for_ever(interval_ms)
    assert slept == [pytest.approx(pause, rel=0.2) for pause in pauses]
