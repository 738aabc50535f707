"""PgBouncer lends a connection for one transaction: what works through it, and what is said where it does not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import make_url

from asgi_sessions import ConfigurationError, SessionManager, SessionSettings, StoreUnavailable, Unauthorised
from asgi_sessions.store.address import engine_arguments, is_pooled, parse_database_url
from tests.conftest import empty_database
from tests.engines_used import require
from tests.patience import PATIENCE
from tests.poolers.pgbouncer import PgBouncer
from tests.servers import PostgreSQL

SECRET = "0123456789abcdef0123456789abcdef-first"
WORKERS, USERS = 3, 8


@pytest.fixture(scope="module")
def pgbouncer(postgresql: PostgreSQL) -> Iterator[PgBouncer]:
    require("pgbouncer")
    server = PgBouncer(postgresql)
    yield server
    server.close()


@pytest.fixture
def direct_url(postgresql: PostgreSQL) -> Iterator[str]:
    yield from empty_database(postgresql)


@pytest.fixture
def pooled_url(pgbouncer: PgBouncer, direct_url: str) -> str:
    return pgbouncer.url(make_url(direct_url).database or "")


def manager(url: str) -> SessionManager:
    return SessionManager(SessionSettings(database_url=url, secret_key=SECRET, revocation_poll_interval=0.2))


async def is_served(sessions: SessionManager, token: str) -> bool:
    try:
        await sessions.get_session_without_request(token)
    except Unauthorised:
        return False
    return True


@pytest.fixture
async def workers(pooled_url: str) -> AsyncIterator[list[SessionManager]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(manager(f"{pooled_url}?pgbouncer=true")) for _ in range(WORKERS)]


async def test_workers_log_in_refresh_and_log_out_at_once(workers: list[SessionManager]) -> None:
    async def journey(number: int) -> None:
        here, there = workers[number % WORKERS], workers[(number + 1) % WORKERS]
        for _ in range(5):
            issued = await here.create_new_session_without_request(f"user-{number}")
            refreshed = await there.refresh_session_without_request(issued.refresh_token.value)
            token = refreshed.access_token.value
            assert (await here.get_session_without_request(token, check_database=True)).user_id == f"user-{number}"
            assert await here.revoke_session_using_session_handle(issued.session.session_handle)
            with pytest.raises(Unauthorised):
                await there.get_session_without_request(token, check_database=True)

    await asyncio.gather(*map(journey, range(USERS)))


async def test_a_logout_is_felt_by_polling_on_the_other_workers(
    workers: list[SessionManager], caplog: pytest.LogCaptureFixture
) -> None:
    here, there, _ = workers
    issued = await here.create_new_session_without_request("alice")
    token = issued.access_token.value
    await there.get_session_without_request(token)
    await here.revoke_all_sessions_for_user("alice")
    async with asyncio.timeout(PATIENCE):
        while await is_served(there, token):
            await asyncio.sleep(0.02)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("given", "pooled"), [("true", True), ("1", True), ("True", True), ("false", False), ("0", False)]
)
def test_the_parameter_is_taken_out_of_the_address(given: str, pooled: bool) -> None:
    url = parse_database_url(f"postgresql+asyncpg://app@db/shop?pgbouncer={given}&ssl=disable")
    assert "pgbouncer" not in url.query
    assert is_pooled(url) == pooled
    assert engine_arguments(url)["connect_args"].get("statement_cache_size") == (0 if pooled else None)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql+asyncpg://app@db/shop?pgbouncer=maybe", "pgbouncer must be true or false"),
        ("postgresql+asyncpg://app@db/shop?pgbouncer=true&pgbouncer=true", "pgbouncer must be true or false"),
        ("mysql+asyncmy://app@db/shop?pgbouncer=true", "unknown URL parameter pgbouncer"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse_database_url(url)


def test_the_drivers_own_parameter_is_a_number() -> None:
    with pytest.raises(ConfigurationError, match="statement_cache_size must be a whole number"):
        engine_arguments(parse_database_url("postgresql+asyncpg://app@db/shop?statement_cache_size=none"))


async def test_without_the_parameter_the_error_names_it(pooled_url: str) -> None:
    """Two clients prepare statements of the same name on the same connections."""

    async def use(sessions: SessionManager) -> None:
        async with sessions:
            for number in range(20):
                await sessions.create_new_session_without_request(f"user-{number}")

    failures = await asyncio.gather(*(use(manager(pooled_url)) for _ in range(6)), return_exceptions=True)
    told = [f"{failure} {failure.__cause__}" for failure in failures if isinstance(failure, StoreUnavailable)]
    assert any("add pgbouncer=true" in text for text in told), failures


async def test_a_channel_that_nobody_hears_is_told(
    pooled_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgi_sessions.revocation.postgresql_channel.ANSWER_SECONDS", 0.3)
    async with manager(f"{pooled_url}?statement_cache_size=0"), asyncio.timeout(PATIENCE):
        while "a message to itself does not arrive" not in caplog.text:
            await asyncio.sleep(0.02)
