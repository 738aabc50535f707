"""Signing keys: made once for all workers, rotated on time, reloaded for an unknown one, never readable when stored."""

import asyncio
import logging
from typing import Any

import jwt
import pytest

from asgi_sessions import ConfigurationError, SessionManager, StoreUnavailable, TryRefreshToken
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.clocks import MovableClock
from tests.manager.conftest import SECRET, NewManager, manager_builder

NEWER = "0123456789abcdef0123456789abcdef-newer"
HOUR = 3600.0


async def issue(sessions: SessionManager) -> str:
    return (await sessions.create_new_session_without_request("alice")).access_token.value


def key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def accepts(sessions: SessionManager, token: str) -> bool:
    try:
        await sessions.get_session_without_request(token)
    except TryRefreshToken:
        return False
    return True


def count(sessions: SessionManager) -> int:
    """How many keys a worker knows."""
    return len(sessions.lifecycle.keys.keyring.keys)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The purposes of all reads of the key table."""
    seen: list[str] = []
    load = SigningKeyStore.load

    async def counted(self: SigningKeyStore, purpose: str) -> Any:
        seen.append(purpose)
        return await load(self, purpose)

    monkeypatch.setattr(SigningKeyStore, "load", counted)
    return seen


async def test_eight_workers_that_start_at_once_agree_on_one_key(first_manager: NewManager) -> None:
    workers = [first_manager() for _ in range(8)]
    await asyncio.gather(*(worker.start() for worker in workers))
    try:
        tokens = await asyncio.gather(*(issue(worker) for worker in workers))
        assert len({key_id(token) for token in tokens}) == 1
        assert all([await accepts(worker, token) for worker in workers for token in tokens])
        refresh = (await workers[0].create_new_session_without_request("alice")).refresh_token.value
        await workers[7].refresh_session_without_request(refresh)
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


async def test_a_key_is_published_a_minute_before_it_signs(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(signing_key_lifetime="1h", access_token_lifetime="10m") as sessions:
        first = key_id(await issue(sessions))
        clock.advance(HOUR - 60.001)
        assert key_id(await issue(sessions)) == first
        assert count(sessions) == 1
        clock.advance(0.001)
        assert key_id(await issue(sessions)) == first
        assert count(sessions) == 2
        clock.advance(59.999)
        old = await issue(sessions)
        clock.advance(0.001)
        new = await issue(sessions)
        assert key_id(old) == first != key_id(new)
        assert await accepts(sessions, old)
        clock.advance(599)
        assert await accepts(sessions, old)


async def test_the_log_says_when_a_key_signs_as_people_write_times(
    new_manager: NewManager, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_sessions")
    clock.now = 1_800_000_000_000
    async with new_manager(signing_key_lifetime="1h") as sessions:
        clock.advance(HOUR)
        await issue(sessions)
    made = [record.getMessage() for record in caplog.records if "Made signing key" in record.getMessage()]
    assert [message.partition("in use from ")[2] for message in made] == [
        "2027-01-15 08:00:00Z.",
        "2027-01-15 08:00:00Z.",
        "2027-01-15 09:01:00Z.",
    ]


async def test_the_shortest_lifetime_of_a_key_holds_from_the_first_one(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(signing_key_lifetime="1m") as sessions:
        seen = []
        for _ in range(4):
            seen.append(key_id(await issue(sessions)))
            clock.advance(59.999)
            assert key_id(await issue(sessions)) == seen[-1]
            clock.advance(0.001)
        assert len(set(seen)) == len(seen)


async def test_a_rotation_that_comes_late_still_publishes_a_minute_ahead(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(signing_key_lifetime="1h") as sessions:
        first = key_id(await issue(sessions))
        clock.advance(days=3)
        assert key_id(await issue(sessions)) == first
        clock.advance(60)
        assert key_id(await issue(sessions)) != first


async def test_workers_that_rotate_at_once_make_one_key(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(signing_key_lifetime="1h") as one, new_manager(signing_key_lifetime="1h") as two:
        clock.advance(HOUR - 30)
        await asyncio.gather(*(issue(worker) for worker in (one, two) * 4))
        assert [count(worker) for worker in (one, two)] == [2, 2]
        clock.advance(60)
        assert key_id(await issue(one)) == key_id(await issue(two))


async def test_another_worker_loads_a_new_key_when_it_sees_it(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(signing_key_lifetime="1h") as one, new_manager(signing_key_lifetime="1h") as two:
        clock.advance(HOUR)
        await issue(one)
        clock.advance(60)
        token = await issue(one)
        assert count(two) == 1
        assert await accepts(two, token)


async def test_unknown_key_ids_cause_one_reload_a_second(
    sessions: SessionManager, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        _, payload, signature = (await issue(sessions)).split(".")
        seconds = 1000.0
        monkeypatch.setattr(sessions.lifecycle.keys, "_monotonic", lambda: seconds)
        headers = [
            jwt.encode({}, "x" * 32, "HS256", {"kid": f"{number:016x}", "typ": "at+jwt"}).partition(".")[0]
            for number in range(20)
        ]
        forged = [f"{header}.{payload}.{signature}" for header in headers]
        loads.clear()
        assert not any(await asyncio.gather(*(accepts(sessions, token) for token in forged)))
        assert loads == ["refresh", "access"]
        seconds += 0.999
        await accepts(sessions, forged[0])
        assert len(loads) == 2
        seconds += 0.002
        await accepts(sessions, forged[0])
        assert len(loads) == 4


async def test_while_the_store_is_down_an_unknown_key_id_is_no_verdict(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise StoreUnavailable

    async with sessions:
        _, payload, signature = (await issue(sessions)).split(".")
        header = jwt.encode({}, "x" * 32, "HS256", {"kid": "f" * 16, "typ": "at+jwt"}).partition(".")[0]
        monkeypatch.setattr(SigningKeyStore, "load", fail)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await sessions.get_session_without_request(f"{header}.{payload}.{signature}")


async def test_a_newer_secret_in_front_seals_the_keys_anew(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        token = await issue(sessions)
    async with new_manager(secret_key=[NEWER, SECRET]) as sessions:
        assert await accepts(sessions, token)
    async with new_manager(secret_key=NEWER) as sessions:
        assert await accepts(sessions, token)
        assert key_id(await issue(sessions)) == key_id(token)
    with pytest.raises(ConfigurationError, match="secret_key"):
        await new_manager(secret_key=SECRET).start()


async def test_a_worker_with_the_older_secret_goes_on_while_the_others_change(
    new_manager: NewManager, clock: MovableClock, loads: list[str]
) -> None:
    async with new_manager(signing_key_lifetime="1h") as old:
        token = await issue(old)
        async with new_manager(signing_key_lifetime="1h", secret_key=[NEWER, SECRET]) as new:
            loads.clear()
            clock.advance(HOUR)
            await issue(new)
            clock.advance(60)
            assert key_id(await issue(old)) == key_id(token)
            assert loads
            refresh = (await old.create_new_session_without_request("alice")).refresh_token.value
            await new.refresh_session_without_request(refresh)


async def test_unsealed_keys_are_refused_where_there_is_a_secret_and_the_reverse(
    clock: MovableClock, tmp_path: Any
) -> None:
    build = manager_builder(f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", clock)
    async with build(secret_key=None):
        pass
    with pytest.raises(ConfigurationError, match="secret_key"):
        await build().start()
    build = manager_builder(f"sqlite+aiosqlite:///{tmp_path / 'sealed.db'}", clock)
    async with build():
        pass
    with pytest.raises(ConfigurationError, match="secret_key"):
        await build(secret_key=None).start()


async def test_the_database_holds_no_key_in_the_clear(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        keys = sessions.lifecycle.keys
        rows = [row for purpose in ("access", "refresh") for row in await keys._access._store.load(purpose)]
        secrets = [key.secret for key in keys.keyring.keys]
        assert len(rows) == 2
        assert not [row for row in rows for secret in secrets if secret in row.material or row.seal_id is None]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
async def test_another_algorithm_takes_over_after_a_minute_and_old_tokens_stay_good(
    algorithm: str, new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager() as sessions:
        old = await issue(sessions)
    async with new_manager(signing_algorithm=algorithm) as sessions:
        assert jwt.get_unverified_header(await issue(sessions))["alg"] == "HS256"
        assert [key["alg"] for key in sessions.lifecycle.keys.keyring.public_jwks()["keys"]] == [algorithm]
        clock.advance(60)
        new = await issue(sessions)
        assert jwt.get_unverified_header(new)["alg"] == algorithm
        assert await accepts(sessions, old)
        assert await accepts(sessions, new)


class Provider:
    def __init__(self, key: Any) -> None:
        self.key = key

    async def __call__(self) -> Any:
        return self.key


def signed_with(token: str, key: str) -> bool:
    try:
        jwt.decode(token, key, ["HS256"], audience="asgi_sessions_", options={"verify_exp": False, "verify_iat": False})
    except jwt.InvalidSignatureError:
        return False
    return True


@pytest.mark.parametrize("as_bytes", [False, True])
async def test_the_providers_value_is_the_key(as_bytes: bool, new_manager: NewManager) -> None:
    provider = Provider("first-" + "k" * 32)
    given = provider.key
    if as_bytes:
        provider.key = provider.key.encode()
    async with new_manager(signing_key_provider=provider) as sessions:
        token = await issue(sessions)
        assert signed_with(token, given)
        provider.key = "second" + "k" * 32
        following = await issue(sessions)
        assert signed_with(following, "second" + "k" * 32)
        assert await accepts(sessions, token)
        assert await accepts(sessions, following)


@pytest.mark.parametrize("value", ["short", b"", None, 7])
async def test_a_provider_that_gives_no_key_is_a_configuration_error(value: Any, clock: MovableClock) -> None:
    sessions = manager_builder("sqlite+aiosqlite://", clock)(signing_key_provider=Provider(value))
    with pytest.raises(ConfigurationError, match="signing_key_provider"):
        await sessions.start()


async def test_keys_are_forgotten_once_no_cookie_of_theirs_is_left(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(signing_key_lifetime="1d", idle_timeout="5d", absolute_timeout="10d") as sessions:
        for _ in range(10):
            await issue(sessions)
            clock.advance(60)
            await issue(sessions)
            clock.advance(days=1)
        await sessions.purge_expired_sessions()
        token = await issue(sessions)
    async with new_manager(signing_key_lifetime="1d") as sessions:
        assert count(sessions) <= 8
        assert await accepts(sessions, token)
