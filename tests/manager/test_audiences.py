"""Managers that share every key take none of each other's tokens. Older versions' are good for one upgrade."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from asgi_sessions import IssuedSession, SessionManager, SessionSettings, TryRefreshToken, Unauthorised
from asgi_sessions.manager.installation import ROLLING_RESTART_MS
from asgi_sessions.manager.issuing import COUNTER_GROWTH
from asgi_sessions.protocol import access_token, refresh_token, retry_marker
from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.protocol.cookies import MAX_SIZE
from asgi_sessions.protocol.envelope import Envelope
from asgi_sessions.protocol.sealing import derive
from tests.clocks import MovableClock

KEY = "one-key-of-the-house-for-all-managers-0123456789"
CUSTOMERS, STAFF = "customers_", "staff_"


async def provide() -> str:
    return KEY


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


@dataclass
class Older:
    """What a worker of an older version would have issued."""

    access: str
    refresh: str
    marker: str
    handle: str


async def as_an_older_version(manager: SessionManager, issued: IssuedSession) -> Older:
    """The same tokens in the form that they had before they named a manager."""
    keys = manager.lifecycle.keys
    access = await manager.lifecycle.verifier.authentic(issued.access_token.value)
    refresh = keys.refresh_tokens.decode(issued.refresh_token.value)
    assert access is not None
    assert refresh is not None
    root = (await keys._keys("refresh", strict=True))[-1]
    wrapped = [
        Envelope(kind, body.size, {root.key_id: derive(root.secret, purpose)}, root.key_id)
        for kind, body, purpose in (
            (1, refresh_token._BODY, "refresh-token"),
            (2, retry_marker._BODY, "retry-marker"),
        )
    ]
    body = refresh_token._BODY.pack(
        bytes.fromhex(refresh.handle), 0, 0, refresh.issued_at, refresh.secret, bytes(32), 0, bytes(32)
    )
    marked = retry_marker._BODY.pack(bytes.fromhex(refresh.handle), 0, access.issued_at + 120_000)
    return Older(
        access_token.sign(await keys.signing_key(), access, audience="asgi_sessions"),
        wrapped[0].wrap(body),
        wrapped[1].wrap(marked),
        refresh.handle,
    )


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
        changed, access = await sessions.lifecycle.issuer.reissue(session._access, "{}", 1, new_payload=True)
        assert not access.legacy
        assert await sessions.lifecycle.verifier.authentic(changed.value) == access


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
        assert staff.lifecycle.verifier.recognise(older.access.encode()) is None
        with pytest.raises(Unauthorised):
            await staff.get_session_without_request(older.access)
        assert (await customers.get_session_without_request(older.access)).user_id == "alice"


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
