"""Rows 1 to 24 and 36 of the reference library's behaviours over the Python API, on every engine.

Where a test takes `profile` unrestricted, both profiles behave alike.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import jwt
import pytest

from asgi_sessions import (
    AlreadyRotated,
    ConfigurationError,
    CsrfRejected,
    IssuedSession,
    SessionManager,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.protocol import access_token, csrf
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.protocol.keyring import SigningKey, generate
from asgi_sessions.testing import MovableClock
from tests.reference.databases import execute, session_count, tables_in
from tests.reference.profiles import Profile, with_default, with_reference

Worker: TypeAlias = Callable[..., Awaitable[SessionManager]]

AUDIENCE = "asgi_sessions_"
USER, PAYLOAD = "user 1", {"role": "reader", "n": [1, None]}


async def log_in(sessions: SessionManager, user_id: Any = USER) -> IssuedSession:
    return await sessions.create_new_session_without_request(user_id, jwt_payload=PAYLOAD, session_info={})


async def verify(sessions: SessionManager, issued: IssuedSession, **options: Any) -> Any:
    csrf_token = issued.anti_csrf_token.value if issued.anti_csrf_token else None
    return await sessions.get_session_without_request(issued.access_token.value, csrf_token, **options)


async def refresh(sessions: SessionManager, issued: IssuedSession) -> IssuedSession:
    return await sessions.refresh_session_without_request(issued.refresh_token.value)


async def refused_within_a_second(sessions: SessionManager, issued: IssuedSession) -> bool:
    """Whether the access token of a session that was just revoked stops being good."""
    for _ in range(50):
        try:
            await verify(sessions, issued)
        except Unauthorised:
            return True
        await asyncio.sleep(0.02)
    return False


def key_id(issued: IssuedSession) -> Any:
    return jwt.get_unverified_header(issued.access_token.value)["kid"]


def altered(token: str) -> str:
    """The token with another payload behind the same signature."""
    header, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["payload"] = {"role": "admin"}
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


# -- 1, 2: starting


async def test_row_01_starts_with_domain_path_and_table_names_given_and_a_second_start_is_harmless(
    worker: Worker, database_url: str, profile: Profile
) -> None:
    prefix = f"my_{profile.name}_"
    settings = {"cookie_domain": "example.com", "refresh_path": "/session/refresh", "table_prefix": prefix}
    assert not any(name.startswith(prefix) for name in await tables_in(database_url))
    sessions = await worker(**settings)
    assert {prefix + "sessions", prefix + "signing_keys"} <= await tables_in(database_url)
    issued = await log_in(sessions)
    async with sessions:
        assert (await verify(sessions, issued)).user_id == USER
    again = await worker(**settings)
    assert (await verify(again, issued)).user_id == USER


OUT_OF_RANGE: dict[str, Any] = {
    "access_token_lifetime": "0",
    "idle_timeout": "-1",
    "expired_status_code": 200,
    "refresh_path": "no slash",
    "cookie_domain": "https://example.com",
}


@with_reference
def test_row_02_an_out_of_range_setting_is_an_error_that_names_it(profile: Profile, database_url: str) -> None:
    for name, value in OUT_OF_RANGE.items():
        with pytest.raises(ConfigurationError) as caught:
            profile.settings(database_url, **{name: value})
        assert [problem.partition(":")[0] for problem in caught.value.problems] == [name]


@with_default
def test_row_02_all_out_of_range_settings_are_named_at_once(profile: Profile, database_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        profile.settings(database_url, **OUT_OF_RANGE)
    assert {problem.partition(":")[0] for problem in caught.value.problems} == set(OUT_OF_RANGE)


def test_row_02_a_missing_setting_is_an_error_that_names_it(profile: Profile, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        assert profile.settings(database_url, secret_key=None).secret_key == ()  # nothing is required there
        return
    with pytest.raises(ConfigurationError, match=r"^secret_key: is required"):
        profile.settings(database_url, secret_key=None)


# -- 3, 4: signing keys


async def test_row_03_the_value_of_an_own_signing_key_callable_is_the_key(worker: Worker) -> None:
    key = "the application's own key, 32 bytes or more"

    async def provide() -> str:
        return key

    issued = await log_in(await worker(signing_key_provider=provide))
    claims = jwt.decode(issued.access_token.value, key, algorithms=["HS256"], audience=AUDIENCE)
    assert (claims["sub"], claims["payload"]) == (USER, PAYLOAD)


async def two_keys(sessions: SessionManager, clock: MovableClock) -> tuple[IssuedSession, IssuedSession]:
    """A session of just before the signing key changes, and one of just after."""
    clock.advance(timedelta(hours=24, seconds=-30))
    before = await log_in(sessions)
    clock.advance(timedelta(seconds=100))
    return before, await log_in(sessions)


async def test_row_04_the_signing_key_differs_when_its_lifetime_is_over(
    sessions: SessionManager, clock: MovableClock
) -> None:
    first = await log_in(sessions)
    before, after = await two_keys(sessions, clock)
    assert key_id(first) == key_id(before) != key_id(after)


@with_default
async def test_row_04_old_keys_still_verify(sessions: SessionManager, clock: MovableClock, profile: Profile) -> None:
    before, after = await two_keys(sessions, clock)
    assert [(await verify(sessions, issued)).user_id for issued in (before, after)] == [USER, USER]


# -- 5, 6, 7: access tokens


async def test_row_05_an_access_token_is_read_back_as_it_was_created(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    issued = await log_in(sessions)
    read = await sessions.lifecycle.verifier.authentic(issued.access_token.value)
    assert read is not None
    assert (read.handle, read.user_id, read.payload) == (issued.session.session_handle, USER, PAYLOAD)
    assert read.expires_at == clock() + 300_000
    assert issued.access_token.expires_at == from_ms(clock()) + timedelta(minutes=5)
    assert read.anti_csrf_token == (issued.anti_csrf_token.value if issued.anti_csrf_token else None)
    assert bool(read.anti_csrf_token) is profile.is_reference


async def test_row_05_an_empty_csrf_token_is_kept(sessions: SessionManager) -> None:
    lifecycle = sessions.lifecycle
    read = await lifecycle.verifier.authentic((await log_in(sessions)).access_token.value)
    assert read is not None
    text = access_token.sign(await lifecycle.keys.signing_key(), replace(read, anti_csrf_token=""), audience=AUDIENCE)
    again = await lifecycle.verifier.authentic(text)
    assert again is not None
    assert again.anti_csrf_token == ""


async def test_row_06_an_expired_access_token_asks_for_a_refresh(sessions: SessionManager, clock: MovableClock) -> None:
    issued = await log_in(sessions)
    clock.advance(timedelta(minutes=5, milliseconds=-1))
    await verify(sessions, issued)
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(TryRefreshToken):
        await verify(sessions, issued)


async def test_row_06_an_altered_access_token_asks_for_a_refresh(sessions: SessionManager) -> None:
    issued = await log_in(sessions)
    csrf_token = issued.anti_csrf_token.value if issued.anti_csrf_token else None
    with pytest.raises(TryRefreshToken):
        await sessions.get_session_without_request(altered(issued.access_token.value), csrf_token)


async def test_row_06_an_access_token_of_the_wrong_key_asks_for_a_refresh(sessions: SessionManager) -> None:
    lifecycle = sessions.lifecycle
    read = await lifecycle.verifier.authentic((await log_in(sessions)).access_token.value)
    assert read is not None
    own = await lifecycle.keys.signing_key()
    for known in (own.key_id, "0" * 16):
        wrong = SigningKey(known, own.serial, own.algorithm, generate(own.algorithm), own.signs_from)
        forged = access_token.sign(wrong, read, audience=AUDIENCE)
        with pytest.raises(TryRefreshToken):
            await sessions.get_session_without_request(forged, read.anti_csrf_token)


@pytest.mark.parametrize("token", ["", "no token", "a.b.c"], ids=repr)
async def test_row_06_an_access_token_that_is_none_asks_for_a_refresh(sessions: SessionManager, token: str) -> None:
    with pytest.raises(TryRefreshToken):
        await sessions.get_session_without_request(token)


@pytest.mark.parametrize("token", [None, 1, b"bytes", {"a": 1}, ["x"]], ids=repr)
async def test_row_06_what_is_no_text_at_all_is_the_callers_mistake(sessions: SessionManager, token: Any) -> None:
    with pytest.raises(TypeError, match="access_token"):
        await sessions.get_session_without_request(token)


@with_reference
async def test_row_07_after_the_key_changed_an_access_token_asks_for_a_refresh_which_works(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    before, _ = await two_keys(sessions, clock)
    with pytest.raises(TryRefreshToken):
        await verify(sessions, before)
    assert (await verify(sessions, await refresh(sessions, before))).user_id == USER


@with_default
async def test_row_07_after_the_key_changed_an_access_token_is_accepted_until_it_expires(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    before, _ = await two_keys(sessions, clock)
    clock.advance(timedelta(seconds=199))
    assert (await verify(sessions, before)).user_id == USER
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TryRefreshToken):
        await verify(sessions, before)


# -- 8: refresh tokens


async def test_row_08_a_refresh_token_is_read_back_as_it_was_created(
    sessions: SessionManager, clock: MovableClock
) -> None:
    issued = await log_in(sessions)
    first = await sessions.lifecycle.refresher.authentic(issued.refresh_token.value)
    assert first is not None
    assert (first.handle, first.generation, first.issued_at) == (issued.session.session_handle, 0, clock())
    assert (first.parent_hash, first.parent_issued_at, first.grandparent_hash) == (None, None, None)
    clock.advance(timedelta(minutes=5))
    child = await sessions.lifecycle.refresher.authentic((await refresh(sessions, issued)).refresh_token.value)
    assert child is not None
    assert (child.handle, child.generation, child.issued_at) == (first.handle, 1, clock())
    assert (child.parent_hash, child.parent_issued_at) == (first.token_hash, first.issued_at)


async def test_row_08_a_refresh_token_is_unauthorised_after_its_key_was_replaced(
    sessions: SessionManager, worker: Worker, database_url: str
) -> None:
    issued = await log_in(sessions)
    await execute(database_url, "DELETE FROM asgi_sessions_signing_keys WHERE purpose = 'refresh'")
    restarted = await worker()
    assert await session_count(database_url) == 1
    with pytest.raises(Unauthorised):
        await refresh(restarted, issued)


# -- 9 to 18: create, verify, refresh


@with_reference
async def test_row_09_create_gives_five_tokens_and_a_session_in_one_row(
    sessions: SessionManager, clock: MovableClock, database_url: str, profile: Profile
) -> None:
    issued = await log_in(sessions)
    refresh_token, id_token, csrf_token = issued.refresh_token, issued.id_refresh_token, issued.anti_csrf_token
    assert id_token is not None
    assert csrf_token is not None
    assert all(token.value for token in (issued.access_token, refresh_token, id_token, csrf_token))
    assert issued.access_token.expires_at == from_ms(clock()) + timedelta(minutes=5)
    assert refresh_token.expires_at == id_token.expires_at == from_ms(clock()) + timedelta(days=14)
    session = issued.session
    assert (session.user_id, session.jwt_payload) == (USER, PAYLOAD)
    assert await sessions.get_all_session_handles_for_user(USER) == [session.session_handle]
    assert await session_count(database_url) == 1


@with_default
async def test_row_09_create_gives_the_tokens_that_the_settings_ask_for(
    sessions: SessionManager, clock: MovableClock, database_url: str, profile: Profile
) -> None:
    issued = await log_in(sessions)
    assert issued.access_token.value
    assert issued.refresh_token.value
    assert (issued.id_refresh_token, issued.anti_csrf_token) == (None, None)
    assert issued.access_token.expires_at == from_ms(clock()) + timedelta(minutes=5)
    assert issued.refresh_token.expires_at == from_ms(clock()) + timedelta(days=14)
    session = issued.session
    assert (session.user_id, session.jwt_payload) == (USER, PAYLOAD)
    assert await sessions.get_all_session_handles_for_user(USER) == [session.session_handle]
    assert await session_count(database_url) == 1


async def test_row_10_verify_gives_the_same_user_and_payload_and_writes_nothing(
    sessions: SessionManager, database_url: str
) -> None:
    issued = await log_in(sessions)
    row = await execute(database_url, "SELECT * FROM asgi_sessions_sessions")
    for _ in range(2):
        session = await verify(sessions, issued)
        assert (session.session_handle, session.user_id) == (issued.session.session_handle, USER)
        assert session.jwt_payload == PAYLOAD
    assert await execute(database_url, "SELECT * FROM asgi_sessions_sessions") == row


@with_reference
async def test_row_11_a_wrong_or_missing_csrf_token_asks_for_a_refresh(
    sessions: SessionManager, profile: Profile
) -> None:
    token = (await log_in(sessions)).access_token.value
    other = (await log_in(sessions)).anti_csrf_token
    assert other is not None
    for wrong in (None, "", "wrong", other.value):
        with pytest.raises(TryRefreshToken):
            await sessions.get_session_without_request(token, wrong)
    assert (await sessions.get_session_without_request(token, csrf=False)).user_id == USER


@with_default
async def test_row_11_csrf_is_rejected_by_what_browsers_say_of_a_request(
    sessions: SessionManager, profile: Profile
) -> None:
    # Without a request there is nothing to reject, whatever comes as a token.
    token = (await log_in(sessions)).access_token.value
    assert [(await sessions.get_session_without_request(token, wrong)).user_id for wrong in (None, "wrong")] == [
        USER
    ] * 2
    with pytest.raises(CsrfRejected):
        csrf.check(
            method="POST",
            scheme="https",
            host="example.com",
            headers={"Sec-Fetch-Site": "cross-site"},
            trusted_origins=sessions.settings.trusted_origins,
        )


async def test_row_12_with_csrf_off_there_is_no_csrf_token_and_any_value_is_accepted(worker: Worker) -> None:
    sessions = await worker(csrf="off")
    issued = await log_in(sessions)
    assert issued.anti_csrf_token is None
    assert "csrf" not in jwt.decode(issued.access_token.value, options={"verify_signature": False})
    for value in (None, "", "anything"):
        session = await sessions.get_session_without_request(issued.access_token.value, value)
        assert session.user_id == USER
    assert (await refresh(sessions, issued)).anti_csrf_token is None


async def test_row_13_refresh_renews_every_value_and_keeps_user_and_payload(
    sessions: SessionManager, clock: MovableClock, database_url: str, profile: Profile
) -> None:
    issued = await log_in(sessions)
    refreshed = await refresh(sessions, issued)
    for name in ("access_token", "refresh_token", "anti_csrf_token", "id_refresh_token"):
        old, new = getattr(issued, name), getattr(refreshed, name)
        assert (old is None) == (new is None)
        if new is not None:
            assert new.value != old.value
    old_session, session = issued.session, refreshed.session
    assert (session.session_handle, session.user_id) == (old_session.session_handle, USER)
    assert session.jwt_payload == (await verify(sessions, refreshed)).jwt_payload == PAYLOAD
    assert await session_count(database_url) == 1


@with_reference
async def test_row_14_the_first_verify_after_a_refresh_promotes_and_the_next_does_nothing(
    sessions: SessionManager, database_url: str, profile: Profile
) -> None:
    # The new access token itself is seen over HTTP: without a request there is no response to put it on.
    refreshed = await refresh(sessions, await log_in(sessions))
    chain = "SELECT gen, promoted_at, last_active_at FROM asgi_sessions_sessions"
    ((generation, *_),) = await execute(database_url, chain)
    assert generation == 0
    await verify(sessions, refreshed)
    ((generation, *promoted),) = await execute(database_url, chain)
    assert generation == 1
    await verify(sessions, refreshed)
    assert await execute(database_url, chain) == [(1, *promoted)]


@with_default
async def test_row_14_no_verify_after_a_refresh_writes_anything(
    sessions: SessionManager, database_url: str, profile: Profile
) -> None:
    issued = await log_in(sessions)
    row = await execute(database_url, "SELECT * FROM asgi_sessions_sessions")
    refreshed = await refresh(sessions, issued)
    for _ in range(2):
        assert (await verify(sessions, refreshed)).user_id == USER
    assert await execute(database_url, "SELECT * FROM asgi_sessions_sessions") == row


async def test_row_15_a_refresh_token_whose_lifetime_is_over_is_unauthorised(
    sessions: SessionManager, clock: MovableClock
) -> None:
    issued = await log_in(sessions)
    clock.advance(timedelta(days=14, milliseconds=-1))
    assert (await refresh(sessions, issued)).session.user_id == USER
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(Unauthorised):
        await refresh(sessions, issued)


async def test_row_16_refreshes_in_a_row_without_the_access_tokens_all_succeed(sessions: SessionManager) -> None:
    issued = await log_in(sessions)
    for _ in range(3):
        issued = await refresh(sessions, issued)
    assert (await verify(sessions, issued)).jwt_payload == PAYLOAD


@with_reference
async def test_row_17_the_old_refresh_token_is_theft_once_the_new_access_token_was_used(
    sessions: SessionManager, profile: Profile
) -> None:
    issued = await log_in(sessions)
    await verify(sessions, await refresh(sessions, issued))
    with pytest.raises(TokenTheftDetected) as caught:
        await refresh(sessions, issued)
    assert (caught.value.session_handle, caught.value.user_id) == (issued.session.session_handle, USER)


@with_default
async def test_row_17_the_old_refresh_token_is_no_theft_before_the_new_one_was_used_in_its_turn(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    issued = await log_in(sessions)
    refreshed = await refresh(sessions, issued)
    await verify(sessions, refreshed)
    await refresh(sessions, issued)
    await refresh(sessions, refreshed)
    clock.advance(timedelta(seconds=120))
    with pytest.raises(AlreadyRotated):
        await refresh(sessions, issued)
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(TokenTheftDetected) as caught:
        await refresh(sessions, issued)
    assert (caught.value.session_handle, caught.value.user_id) == (issued.session.session_handle, USER)


@with_reference
async def test_row_18_the_first_token_after_two_refreshes_is_theft(sessions: SessionManager, profile: Profile) -> None:
    issued = await log_in(sessions)
    await refresh(sessions, await refresh(sessions, issued))
    with pytest.raises(TokenTheftDetected) as caught:
        await refresh(sessions, issued)
    assert (caught.value.session_handle, caught.value.user_id) == (issued.session.session_handle, USER)


@with_default
async def test_row_18_the_first_token_after_two_refreshes_is_late_and_then_theft(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    issued = await log_in(sessions)
    refreshed = await refresh(sessions, issued)
    clock.advance(timedelta(seconds=240))  # old enough for a child of its own, no twin
    await refresh(sessions, refreshed)
    with pytest.raises(AlreadyRotated):
        await refresh(sessions, issued)
    clock.advance(timedelta(seconds=121))
    with pytest.raises(TokenTheftDetected):
        await refresh(sessions, issued)


# -- 19, 20: values are kept


async def test_row_19_session_info_is_kept_exactly(sessions: SessionManager) -> None:
    handle = (await log_in(sessions)).session.session_handle
    assert await sessions.get_session_info(handle) == {}
    for info in (2, 1.0, "1", [None, True], {"a": {"b": -0.0}}):
        await sessions.update_session_info(handle, info)
        kept = await sessions.get_session_info(handle)
        assert (type(kept), repr(kept)) == (type(info), repr(info))


USER_IDS: list[Any] = [1, "1", '{"a":"testing"}', '{"a":1,"i":2}']


async def kept_user_ids(sessions: SessionManager, user_id: Any) -> list[Any]:
    issued = await log_in(sessions, user_id)
    verified = await verify(sessions, issued)
    refreshed = await refresh(sessions, issued)
    later = await verify(sessions, refreshed)
    return [issued.session.user_id, verified.user_id, refreshed.session.user_id, later.user_id]


@pytest.mark.parametrize("user_id", USER_IDS, ids=repr)
async def test_row_20_user_ids_keep_type_and_value(sessions: SessionManager, user_id: Any) -> None:
    kept = await kept_user_ids(sessions, user_id)
    assert [(type(found), found) for found in kept] == [(type(user_id), user_id)] * 4
    assert len(await sessions.get_all_session_handles_for_user(user_id)) == 1


@with_default
async def test_row_20_the_user_id_that_the_reference_refuses_is_kept_too(
    sessions: SessionManager, profile: Profile
) -> None:
    assert await kept_user_ids(sessions, '{"i":"testing"}') == ['{"i":"testing"}'] * 4


# -- 21 to 24, 36: the end


async def test_row_21_revoking_by_handle_ends_that_session_alone_and_once(sessions: SessionManager) -> None:
    gone, other = await log_in(sessions), await log_in(sessions)
    assert await sessions.revoke_session_using_session_handle(gone.session.session_handle) is True
    assert await sessions.get_all_session_handles_for_user(USER) == [other.session.session_handle]
    with pytest.raises(Unauthorised):
        await refresh(sessions, gone)
    assert (await verify(sessions, await refresh(sessions, other))).user_id == USER
    assert await sessions.revoke_session_using_session_handle(gone.session.session_handle) is False


@with_reference
async def test_row_22_without_blacklisting_an_access_token_stays_valid_until_it_expires(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    issued = await log_in(sessions)
    await sessions.revoke_session_using_session_handle(issued.session.session_handle)
    clock.advance(timedelta(minutes=5, milliseconds=-1))
    assert (await verify(sessions, issued)).user_id == USER
    with pytest.raises(Unauthorised):
        await verify(sessions, issued, check_database=True)
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(TryRefreshToken):
        await verify(sessions, issued)


@with_reference
async def test_row_22_with_blacklisting_an_access_token_is_unauthorised_at_once(
    worker: Worker, profile: Profile
) -> None:
    sessions, other = [await worker(revocation_check="database") for _ in range(2)]
    issued = await log_in(sessions)
    await verify(other, issued)
    await sessions.revoke_session_using_session_handle(issued.session.session_handle)
    for manager in (sessions, other):
        with pytest.raises(Unauthorised):
            await verify(manager, issued)


@with_default
async def test_row_22_an_access_token_is_unauthorised_within_a_second_everywhere(
    worker: Worker, profile: Profile
) -> None:
    sessions, other = await worker(), await worker()
    issued = await log_in(sessions)
    await verify(other, issued)
    await sessions.revoke_session_using_session_handle(issued.session.session_handle)
    assert await refused_within_a_second(sessions, issued)
    assert await refused_within_a_second(other, issued)


async def three_revoked(sessions: SessionManager) -> list[IssuedSession]:
    issued = [await log_in(sessions) for _ in range(3)]
    stranger = await log_in(sessions, "user 2")
    assert await sessions.revoke_all_sessions_for_user(USER) == 3
    assert await sessions.get_all_session_handles_for_user(USER) == []
    assert await sessions.revoke_all_sessions_for_user(USER) == 0
    assert (await verify(sessions, stranger)).user_id == "user 2"
    for session in issued:
        with pytest.raises(Unauthorised):
            await refresh(sessions, session)
    return issued


@with_reference
async def test_row_23_revoking_all_leaves_none_and_access_tokens_until_they_expire(
    sessions: SessionManager, clock: MovableClock, profile: Profile
) -> None:
    for issued in await three_revoked(sessions):
        assert (await verify(sessions, issued)).user_id == USER


@with_reference
async def test_row_23_revoking_all_with_blacklisting_leaves_none_and_no_access_token(
    worker: Worker, profile: Profile
) -> None:
    sessions = await worker(revocation_check="database")
    for issued in await three_revoked(sessions):
        with pytest.raises(Unauthorised):
            await verify(sessions, issued)


@with_default
async def test_row_23_revoking_all_leaves_none_and_no_access_token_within_a_second(
    worker: Worker, profile: Profile
) -> None:
    sessions, other = await worker(), await worker()
    for issued in await three_revoked(sessions):
        assert await refused_within_a_second(sessions, issued)
        assert await refused_within_a_second(other, issued)


async def test_row_24_a_purge_of_three_expired_and_one_live_session_leaves_one_row(
    sessions: SessionManager, clock: MovableClock, database_url: str
) -> None:
    for _ in range(3):
        await log_in(sessions)
    clock.advance(timedelta(days=14))
    live = await log_in(sessions)
    assert await sessions.purge_expired_sessions() == 3
    assert await session_count(database_url) == 1
    assert (await verify(sessions, live)).user_id == USER


@with_default
async def test_row_24_a_tombstone_stays_for_two_access_lifetimes_and_the_staleness(
    sessions: SessionManager, clock: MovableClock, database_url: str, profile: Profile
) -> None:
    issued = await log_in(sessions)
    await sessions.revoke_session_using_session_handle(issued.session.session_handle)
    # The tombstone's time is the database's own, so that the edge is known to the second only.
    clock.advance(timedelta(minutes=10, seconds=25))
    assert await sessions.purge_expired_sessions() == 0
    clock.advance(timedelta(seconds=10))
    assert await sessions.purge_expired_sessions() == 1
    assert await session_count(database_url) == 0


async def test_row_36_revoking_a_session_whose_row_is_gone_is_no_error(
    sessions: SessionManager, database_url: str
) -> None:
    session = (await log_in(sessions)).session
    await execute(database_url, "DELETE FROM asgi_sessions_sessions")
    await session.revoke_session()
    assert await sessions.revoke_session_using_session_handle(session.session_handle) is False
