"""A key provider of the application's own that fails is asked seldom, once for all, and is no reason for a 500."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, SessionManager, StoreUnavailable, TryRefreshToken
from asgi_sessions.manager import provided_keys
from tests.clocks import MovableClock, Seconds
from tests.manager.conftest import manager_builder

KEY = "0123456789abcdef0123456789abcdef-provided"


class Provider:
    """Gives the key until it is told to fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.failure: Exception | None = None
        self.key = KEY

    async def __call__(self) -> str:
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return self.key


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def running(provider: Provider, clock: MovableClock) -> AsyncIterator[SessionManager]:
    async with manager_builder("sqlite+aiosqlite://", clock)(signing_key_provider=provider) as sessions:
        yield sessions


@pytest.fixture
async def foreign(clock: MovableClock) -> str:
    """An access token with a key id that is unknown here."""
    async with manager_builder("sqlite+aiosqlite://", clock)() as others:
        return (await others.create_new_session_without_request("alice")).access_token.value


@pytest.mark.parametrize("failure", [OSError("away"), RuntimeError("broken"), TimeoutError()])
async def test_tokens_of_unknown_keys_ask_a_failing_provider_once_a_second(
    failure: Exception, running: SessionManager, provider: Provider, foreign: str
) -> None:
    seconds = running.lifecycle.keys._monotonic = Seconds()
    provider.calls, provider.failure = 0, failure
    for expected in (1, 2):
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await running.get_session_without_request(foreign)
        assert provider.calls == expected
        seconds.now += 1.0


async def test_tokens_of_unknown_keys_ask_a_provider_of_bad_keys_once_a_second(
    running: SessionManager, provider: Provider, foreign: str
) -> None:
    running.lifecycle.keys._monotonic = Seconds()
    provider.calls, provider.key = 0, "too short"
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await running.get_session_without_request(foreign)
    assert provider.calls == 1


async def test_a_failing_provider_leaves_known_tokens_alone(running: SessionManager, provider: Provider) -> None:
    issued = await running.create_new_session_without_request("alice")
    provider.failure = OSError("away")
    assert (await running.get_session_without_request(issued.access_token.value)).user_id == "alice"


async def test_tokens_outlive_as_many_changes_of_the_key_as_keys_are_kept(
    running: SessionManager, provider: Provider
) -> None:
    issued = await running.create_new_session_without_request("alice")
    for change in range(provided_keys.KEPT + 1):
        session = await running.get_session_without_request(issued.access_token.value)
        assert session.user_id == "alice"
        provider.key = f"{change:02}-{KEY}"
        await running.create_new_session_without_request("bob")
    with pytest.raises(TryRefreshToken):
        await running.get_session_without_request(issued.access_token.value)


async def test_where_the_provider_fails_nothing_is_issued_and_the_store_is_unavailable(
    running: SessionManager, provider: Provider
) -> None:
    provider.failure = OSError("away")
    with pytest.raises(StoreUnavailable):
        await running.create_new_session_without_request("alice")
    assert await running.list_sessions_for_user("alice") == []


async def test_once_the_provider_is_back_all_is_well(running: SessionManager, provider: Provider) -> None:
    provider.failure = OSError("away")
    with pytest.raises(StoreUnavailable):
        await running.create_new_session_without_request("alice")
    provider.failure = None
    await running.create_new_session_without_request("alice")


# -- many who ask at once


class Slow(Provider):
    """Answers when it is told to, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self) -> str:
        self.calls += 1
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return self.key


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def waiting(slow: Slow, clock: MovableClock) -> AsyncIterator[SessionManager]:
    async with manager_builder("sqlite+aiosqlite://", clock)(signing_key_provider=slow) as sessions:
        slow.calls = 0
        slow.answers.clear()
        yield sessions


def logins(sessions: SessionManager, count: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(sessions.create_new_session_without_request("alice")) for _ in range(count)]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_twenty_logins_wait_for_a_hanging_provider_once(
    waiting: SessionManager, slow: Slow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provided_keys, "PROVIDER_TIMEOUT_SECONDS", 0.05)
    results = await asyncio.gather(*logins(waiting, 20), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert len({id(result) for result in results}) == 20
    assert slow.calls == 1
    assert caplog.messages.count("signing_key_provider failed.") == 1


async def test_those_who_ask_at_once_share_the_answer(waiting: SessionManager, slow: Slow) -> None:
    asked = logins(waiting, 20)
    await settle()
    slow.answers.set()
    assert len({issued.access_token.value for issued in await asyncio.gather(*asked)}) == 20
    assert slow.calls == 1


async def test_who_stops_waiting_takes_nobody_along(waiting: SessionManager, slow: Slow) -> None:
    first, *others = logins(waiting, 5)
    await settle()
    first.cancel()
    await settle()
    slow.answers.set()
    await asyncio.gather(*others)
    assert first.cancelled()
    assert slow.calls == 1


async def test_a_failure_is_shared_and_the_next_one_asks_again(waiting: SessionManager, slow: Slow) -> None:
    slow.failure = OSError("away")
    asked = logins(waiting, 5)
    await settle()
    slow.answers.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 5
    assert all(isinstance(result.__cause__, OSError) for result in results if isinstance(result, BaseException))
    slow.failure = None
    await waiting.create_new_session_without_request("alice")
    assert slow.calls == 2


async def test_a_provider_that_is_cancelled_itself_is_no_cancellation_of_ours(
    waiting: SessionManager, slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    slow.failure = asyncio.CancelledError()  # type: ignore[assignment]  # no Exception, but providers may raise it
    slow.answers.set()
    with pytest.raises(StoreUnavailable, match="provider failed"):
        await waiting.create_new_session_without_request("alice")
    assert caplog.messages.count("signing_key_provider failed.") == 1


async def test_a_mistake_of_the_provider_is_told_to_all_who_waited(waiting: SessionManager, slow: Slow) -> None:
    slow.key = "too short"
    asked = logins(waiting, 3)
    await settle()
    slow.answers.set()
    for result in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(result, ConfigurationError)
        assert result.problems
        assert "signing_key_provider" in str(result)


async def test_a_stop_does_not_wait_for_a_hanging_provider(slow: Slow, clock: MovableClock) -> None:
    sessions = manager_builder("sqlite+aiosqlite://", clock)(signing_key_provider=slow)
    await sessions.start()
    slow.answers.clear()
    (login,) = logins(sessions, 1)
    await settle()
    await sessions.stop()
    with pytest.raises(StoreUnavailable):
        await login


async def test_tokens_of_unknown_keys_fill_no_log(
    running: SessionManager, provider: Provider, foreign: str, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = running.lifecycle.keys._monotonic = Seconds()
    provider.failure = OSError("away")
    for _ in range(30):
        seconds.now += 1
        with pytest.raises(StoreUnavailable):
            await running.get_session_without_request(foreign)
    assert len(caplog.messages) == 2  # that the provider failed, and that the keys were not loaded
