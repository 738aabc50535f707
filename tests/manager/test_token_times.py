"""How long an access token may be good: no longer than its session's tombstone is sure to stay."""

from dataclasses import replace
from typing import Any

import pytest

from asgi_sessions import SessionManager, TryRefreshToken
from asgi_sessions.protocol.access_token import AccessToken, sign
from asgi_sessions.protocol.clock import CLOCK_DIFFERENCE_MS
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import LONGEST_DELAY, LONGEST_LIFETIME
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.manager.test_signing_keys import accepts

MINUTE = 60_000
HOUR = 60 * MINUTE


async def forged(sessions: SessionManager, *, issued_in: int = 0, lasts: int = 5 * MINUTE) -> str:
    """A token of a live session with times of its own, as only a worker could have signed it."""
    lifecycle = sessions.lifecycle
    issued = await sessions.create_new_session_without_request("alice")
    access = await lifecycle.verifier.authentic(issued.access_token.value)
    assert access is not None
    at = lifecycle.clock() + issued_in
    token = replace(access, issued_at=at, expires_at=at + lasts)
    return sign(await lifecycle.keys.signing_key(), token, audience=sessions.settings.token_audience)


async def authentic(sessions: SessionManager, token: str) -> AccessToken | None:
    return await sessions.lifecycle.verifier.authentic(token)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each read of the state table."""
    seen: list[str] = []
    all_of = StateStore.all

    async def counted(self: StateStore) -> dict[str, int]:
        seen.append("look")
        return await all_of(self)

    monkeypatch.setattr(StateStore, "all", counted)
    return seen


async def test_a_token_that_claims_more_than_the_longest_lifetime_is_refused(sessions: SessionManager) -> None:
    async with sessions:
        assert await accepts(sessions, await forged(sessions, lasts=5 * MINUTE))
        too_long = await forged(sessions, lasts=5 * MINUTE + 1)
        assert not await accepts(sessions, too_long)
        assert await authentic(sessions, too_long) is not None  # and still tells whose session a logout ends


async def test_a_token_of_the_future_is_refused(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        assert await accepts(sessions, await forged(sessions, issued_in=CLOCK_DIFFERENCE_MS))
        early = await forged(sessions, issued_in=CLOCK_DIFFERENCE_MS + 1)
        for _ in range(2):
            assert not await accepts(sessions, early)
        assert await authentic(sessions, early) is not None
        clock.advance(0.001)
        assert await accepts(sessions, early)


async def test_what_no_token_may_claim_costs_one_look_a_second(
    sessions: SessionManager, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        seconds = 1000.0
        monkeypatch.setattr(sessions.lifecycle.verifier._times, "_monotonic", lambda: seconds)
        tokens = [await forged(sessions, lasts=HOUR) for _ in range(5)]
        looks.clear()
        for token in tokens:
            assert not await accepts(sessions, token)
        assert looks == ["look"]
        seconds += 1
        for token in tokens:
            assert not await accepts(sessions, token)
        assert looks == ["look"] * 2
        good = await forged(sessions)
        looks.clear()
        assert await accepts(sessions, good)
        assert looks == []


async def test_a_longer_lifetime_that_comes_up_while_a_worker_runs_is_learnt_by_its_first_token(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(access_token_lifetime="5m") as one, new_manager(access_token_lifetime="1h") as two:
        token = (await two.create_new_session_without_request("alice")).access_token.value
        assert await accepts(one, token)
        clock.advance(299)
        assert await accepts(one, token)
        clock.advance(2)  # for so long its memory of revocations is made: then it asks for a refresh
        assert not await accepts(one, token)
        assert await accepts(two, token)


async def test_a_purge_knows_of_a_longer_lifetime_that_came_up_meanwhile(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(access_token_lifetime="5m") as one, new_manager(access_token_lifetime="1h") as two:
        issued = await two.create_new_session_without_request("alice")
        await two.revoke_session_using_session_handle(issued.session.session_handle)
        row = await two.lifecycle._sessions.find(issued.session.session_handle)
        assert row is not None
        assert row.revoked_at is not None
        clock.now = row.revoked_at + 2 * HOUR + 30_000
        assert await one.purge_expired_sessions() == 0
        clock.advance(0.001)
        assert await one.purge_expired_sessions() == 1


async def known(sessions: SessionManager) -> dict[str, int]:
    return await sessions.lifecycle.verifier._times._state.all()


async def test_the_longest_lifetime_never_shrinks(new_manager: NewManager) -> None:
    longest: list[Any] = []
    for lifetime, staleness in (("5m", "30s"), ("1h", "30s"), ("1m", "10m"), ("5m", "30s")):
        async with new_manager(access_token_lifetime=lifetime, revocation_max_staleness=staleness) as sessions:
            numbers = await known(sessions)
            longest.append((numbers[LONGEST_LIFETIME] // MINUTE, numbers[LONGEST_DELAY] / MINUTE))
            assert sessions.lifecycle.verifier._times.covered == numbers[LONGEST_LIFETIME]
    assert longest == [(5, 0.5), (60, 0.5), (60, 10), (60, 10)]


async def test_lifetimes_shorter_than_clocks_may_differ_add_that_to_the_delay(new_manager: NewManager) -> None:
    async with new_manager(access_token_lifetime="20s", revocation_max_staleness="30s") as sessions:
        times = sessions.lifecycle.verifier._times
        assert times.tombstone_lifetime == 2 * 20_000 + 30_000 + (60_000 - 20_000)


async def test_a_second_start_costs_one_read_and_one_of_the_feed(new_manager: NewManager, looks: list[str]) -> None:
    async with new_manager():
        pass
    looks.clear()
    async with new_manager():
        assert looks == ["look"] * 2


async def test_a_token_with_no_time_left_asks_for_a_refresh(sessions: SessionManager) -> None:
    async with sessions:
        with pytest.raises(TryRefreshToken):
            await sessions.get_session_without_request(await forged(sessions, issued_in=HOUR))
