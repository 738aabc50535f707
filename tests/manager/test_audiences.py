"""Managers that share every key take none of each other's tokens. Older versions' are good for one upgrade."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings, TryRefreshToken, Unauthorised
from asgi_sessions.manager.installation import ROLLING_RESTART_MS
from asgi_sessions.manager.issuing import COUNTER_GROWTH
from asgi_sessions.manager.refreshing import Refresher
from asgi_sessions.manager.verifying import Verifier
from asgi_sessions.protocol import access_token
from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.protocol.cookies import MAX_SIZE
from tests.clocks import MovableClock
from tests.older_version import as_an_older_version

KEY = "one-key-of-the-house-for-all-managers-0123456789"
CUSTOMERS, STAFF = "customers_", "staff_"


async def provide() -> str:
    return KEY


def is_known_live(sessions: SessionManager, token: str) -> bool:
    """Whether it takes no question to the database to serve a token."""
    verifier = sessions.lifecycle.verifier
    access = verifier.tokens[token.encode()]
    return access is not None and verifier.is_known_live(access)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def open_manager(path: Path, prefix: str, **settings: Any) -> SessionManager:
    values = {"table_prefix": prefix, "signing_key_provider": provide, "purge_interval": 0, **settings}
    return SessionManager(SessionSettings(database_url=f"sqlite+aiosqlite:///{path}", **values))


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture(params=["refresh", "first_use"])
async def both(path: Path, request: pytest.FixtureRequest) -> AsyncIterator[dict[str, SessionManager]]:
    """Two managers on one database, one provider and one root of refresh tokens."""
    settings: dict[str, Any] = {"promote_on": request.param, "csrf": "both"}
    async with open_manager(path, CUSTOMERS, **settings), open_manager(path, STAFF, **settings):
        pass
    run(
        path,
        "DELETE FROM staff_signing_keys",
        "INSERT INTO staff_signing_keys SELECT * FROM customers_signing_keys",
    )
    async with open_manager(path, CUSTOMERS, **settings) as customers, open_manager(path, STAFF, **settings) as staff:
        assert customers.lifecycle.keys.keyring.newest.secret == staff.lifecycle.keys.keyring.newest.secret
        yield {CUSTOMERS: customers, STAFF: staff}


@pytest.mark.parametrize(("own", "other"), [(CUSTOMERS, STAFF), (STAFF, CUSTOMERS)])
async def test_no_token_of_one_manager_is_anything_to_another(
    path: Path, both: dict[str, SessionManager], own: str, other: str
) -> None:
    issued = await both[own].create_new_session_without_request("alice")
    # Even where the other's table has a session of the same handle, its tokens and its rights.
    run(path, f"INSERT INTO {other}sessions SELECT * FROM {own}sessions")
    assert issued.anti_csrf_token is not None
    csrf = issued.anti_csrf_token.value
    with pytest.raises(TryRefreshToken):
        await both[other].get_session_without_request(issued.access_token.value, csrf)
    with pytest.raises(Unauthorised):
        await both[other].refresh_session_without_request(issued.refresh_token.value)
    verified = await both[other].lifecycle.verifier.authentic(issued.access_token.value)
    assert verified is None, "not even as an expired token, whose anti-CSRF token would be carried over"
    handle = issued.session.session_handle
    codecs = {name: both[name].lifecycle.keys.retry_markers for name in both}
    marker = codecs[own].encode(handle, 0, system_clock() + 60_000)
    assert codecs[own].matches(marker, handle, 0, system_clock())
    assert not codecs[other].matches(marker, handle, 0, system_clock())
    # And all of them are good where they belong.
    assert (await both[own].get_session_without_request(issued.access_token.value, csrf)).user_id == "alice"
    await both[own].refresh_session_without_request(issued.refresh_token.value)


async def test_managers_of_one_audience_on_one_key_take_each_others_access_tokens(path: Path) -> None:
    async with (
        open_manager(path, CUSTOMERS, audience="https://example.com") as customers,
        open_manager(path, STAFF, audience="https://example.com", revocation_check="none") as staff,
    ):
        issued = await customers.create_new_session_without_request("alice")
        assert (await staff.get_session_without_request(issued.access_token.value)).user_id == "alice"


# -- the upgrade


PROVIDERS = [None, provide]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_older_versions_tokens_are_good_through_one_upgrade(path: Path, provider: Any) -> None:
    async with open_manager(path, CUSTOMERS, signing_key_provider=provider) as sessions:
        older = await as_an_older_version(sessions, await sessions.create_new_session_without_request("alice"))
        with pytest.raises(TryRefreshToken):  # this database is new: no older version has issued anything
            await sessions.get_session_without_request(older.access)
        with pytest.raises(Unauthorised):
            await sessions.refresh_session_without_request(older.refresh)
        assert not sessions.lifecycle.keys.retry_markers.matches(older.marker, older.handle, 0, 0)
    run(path, "DELETE FROM customers_state WHERE name = 'upgraded_at'")  # as before this version
    async with open_manager(path, CUSTOMERS, signing_key_provider=provider) as sessions:
        for _ in range(2):
            session = await sessions.get_session_without_request(older.access)
            assert session.user_id == "alice"
        assert sessions.lifecycle.keys.retry_markers.matches(older.marker, older.handle, 0, 0)
        following = await sessions.refresh_session_without_request(older.refresh)
        read = await sessions.lifecycle.verifier.authentic(following.access_token.value)
        assert read is not None
        assert not read.legacy
        changed, access = await sessions.lifecycle.issuer.reissue(
            session._access.with_payload("{}", 1), new_payload=True
        )
        assert not access.legacy
        assert await sessions.lifecycle.verifier.authentic(changed.value) == access


@pytest.mark.parametrize("upgraded", [False, True])
async def test_whatever_is_authentic_looks_so_at_first_sight(path: Path, upgraded: bool) -> None:
    async with open_manager(path, CUSTOMERS):
        pass
    if upgraded:
        run(path, "DELETE FROM customers_state WHERE name = 'upgraded_at'")
    async with open_manager(path, CUSTOMERS) as sessions:
        issued = await sessions.create_new_session_without_request("alice")
        older = await as_an_older_version(sessions, issued)
        access, refresh = issued.access_token.value, issued.refresh_token.value
        texts = [access, older.access, refresh, older.refresh, older.marker, f"{access}x", refresh[:-1], "x", ""]
        verifier, refresher = sessions.lifecycle.verifier, sessions.lifecycle.refresher
        kinds: dict[str, Verifier | Refresher] = {"access": verifier, "refresh": refresher}
        authentic = {(kind, text) for kind in kinds for text in texts if await kinds[kind].authentic(text) is not None}
        good = {("access", access), ("refresh", refresh)}
        assert authentic == good | ({("access", older.access), ("refresh", older.refresh)} if upgraded else set())
        assert authentic <= {(kind, text) for kind in kinds for text in texts if kinds[kind].looks_authentic(text)}


async def test_what_claims_to_be_an_older_versions_a_day_after_the_upgrade_is_refused(path: Path) -> None:
    async with open_manager(path, CUSTOMERS):
        pass
    run(path, "DELETE FROM customers_state WHERE name = 'upgraded_at'")
    async with open_manager(path, CUSTOMERS):
        pass
    clock = MovableClock(system_clock() + ROLLING_RESTART_MS + 60_000)
    later = open_manager(path, CUSTOMERS)
    later.clock = clock
    async with later as sessions:
        older = await as_an_older_version(sessions, await sessions.create_new_session_without_request("alice"))
        with pytest.raises(TryRefreshToken):
            await sessions.get_session_without_request(older.access)
        with pytest.raises(Unauthorised):
            await sessions.refresh_session_without_request(older.refresh)
        assert not sessions.lifecycle.keys.retry_markers.matches(older.marker, older.handle, 0, 0)


async def test_an_older_token_of_another_manager_on_the_same_provider_opens_nothing(path: Path) -> None:
    async with open_manager(path, CUSTOMERS), open_manager(path, STAFF):
        pass
    run(path, *(f"DELETE FROM {prefix}state WHERE name = 'upgraded_at'" for prefix in (CUSTOMERS, STAFF)))
    async with open_manager(path, CUSTOMERS) as customers, open_manager(path, STAFF) as staff:
        older = await as_an_older_version(customers, await customers.create_new_session_without_request("alice"))
        assert not is_known_live(staff, older.access)
        with pytest.raises(Unauthorised):
            await staff.get_session_without_request(older.access)
        assert (await customers.get_session_without_request(older.access)).user_id == "alice"


@pytest.mark.parametrize(
    ("prefix", "audience"), [(STAFF, "asgi_sessions"), ("asgi_sessions", None)], ids=["audience", "table_prefix"]
)
async def test_nor_does_it_where_the_own_audience_is_that_of_older_versions(
    path: Path, prefix: str, audience: str | None
) -> None:
    async with open_manager(path, CUSTOMERS), open_manager(path, prefix, audience=audience):
        pass
    run(path, *(f"DELETE FROM {name}state WHERE name = 'upgraded_at'" for name in (CUSTOMERS, prefix)))
    async with open_manager(path, CUSTOMERS) as customers, open_manager(path, prefix, audience=audience) as staff:
        older = await as_an_older_version(customers, await customers.create_new_session_without_request("alice"))
        assert not is_known_live(staff, older.access)
        with pytest.raises(Unauthorised):
            await staff.get_session_without_request(older.access)
        own = await staff.create_new_session_without_request("bob")
        assert (await staff.get_session_without_request(own.access_token.value)).user_id == "bob"


async def test_a_day_after_the_upgrade_the_older_versions_audience_is_one_as_any_other(path: Path) -> None:
    async with open_manager(path, STAFF, audience="asgi_sessions"):
        pass
    run(path, "DELETE FROM staff_state WHERE name = 'upgraded_at'")
    async with open_manager(path, STAFF, audience="asgi_sessions"):
        pass
    later = open_manager(path, STAFF, audience="asgi_sessions")
    later.clock = MovableClock(system_clock() + ROLLING_RESTART_MS + 60_000)
    async with later as staff:
        own = await staff.create_new_session_without_request("bob")
        assert is_known_live(staff, own.access_token.value)


async def test_a_payload_that_just_fitted_an_older_versions_token_is_refreshed(path: Path) -> None:
    async with open_manager(path, "asgi_sessions_") as sessions:
        issued = await sessions.create_new_session_without_request("alice")
        key = await sessions.lifecycle.keys.signing_key()
        access = await sessions.lifecycle.verifier.authentic(issued.access_token.value)
        assert access is not None
        room = MAX_SIZE - len("__Host-sAccessToken") - COUNTER_GROWTH
        longest = next(
            size
            for size in range(MAX_SIZE, 0, -1)
            if len(access_token.sign(key, _padded(access, size), audience="asgi_sessions")) <= room
        )
        sessions.lifecycle.issuer.sign(key, _padded(access, longest), new_payload=False)


def _padded(access: access_token.AccessToken, size: int) -> access_token.AccessToken:
    return replace(access, payload_json=f'"{"x" * size}"')
