"""An application's own key provider that fails is asked seldom, and never a reason for an error of ours."""

from collections.abc import AsyncIterator

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
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
