"""An ID token is kept with its session alone, sealed, and never in the way of a logout."""

import logging
from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings, Unauthorised
from asgi_sessions.oidc import keep_id_token, kept_id_token
from asgi_sessions.oidc.kept_id_token import KEY, LONGEST
from asgi_sessions.testing import fake_session

ID_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFkYUBjb21wYW55LmV4YW1wbGUifQ.c2lnbmF0dXJl"
OLD, NEW = "an-older-secret-of-these-tests-alone-" * 2, "a-newer-secret-of-these-tests-alone-" * 2


def settings(url: str, *secrets: str) -> SessionSettings:
    return SessionSettings(database_url=url, secret_key=list(secrets), purge_interval=0)


async def test_it_is_kept_sealed_with_the_session_and_what_the_application_keeps_there_stays(
    sessions: SessionManager,
) -> None:
    session = (await sessions.create_new_session_without_request("ada", session_info={"cart": ["tea"]})).session
    assert await kept_id_token(sessions, session) is None
    assert await keep_id_token(sessions, session, ID_TOKEN)
    assert await kept_id_token(sessions, session) == ID_TOKEN
    info = await session.get_session_info()
    assert info["cart"] == ["tea"]
    assert not any(part in info[KEY] for part in ID_TOKEN.split("."))


async def test_a_newer_one_takes_its_place_and_replaced_data_take_it_away(sessions: SessionManager) -> None:
    session = (await sessions.create_new_session_without_request("ada")).session
    await keep_id_token(sessions, session, ID_TOKEN)
    await keep_id_token(sessions, session, "new.id.token")
    assert await kept_id_token(sessions, session) == "new.id.token"
    await session.update_session_info({"cart": []})
    assert await kept_id_token(sessions, session) is None


async def test_in_another_sessions_row_it_does_not_open(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    session, other = [(await sessions.create_new_session_without_request("ada")).session for _ in range(2)]
    await keep_id_token(sessions, session, ID_TOKEN)
    await other.update_session_info(await session.get_session_info())
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        assert await kept_id_token(sessions, other) is None
    assert other.session_handle in caplog.text
    assert ID_TOKEN not in caplog.text


@pytest.mark.parametrize("broken", ["", ".", "0123", "nothing.AAAA", "ü.ü", {"a": 1}, None, 7])
async def test_whatever_else_stands_in_its_place_is_none(sessions: SessionManager, broken: Any) -> None:
    session = (await sessions.create_new_session_without_request("ada", session_info={KEY: broken})).session
    assert await kept_id_token(sessions, session) is None


async def test_it_opens_while_the_secret_that_sealed_it_is_known_and_a_logout_goes_on_without_it(url: str) -> None:
    async with SessionManager(settings(url, OLD)) as before:
        session = (await before.create_new_session_without_request("ada")).session
        await keep_id_token(before, session, ID_TOKEN)
        async with SessionManager(settings(url, NEW, OLD)) as after:
            assert await kept_id_token(after, session) == ID_TOKEN
        async with SessionManager(settings(url, NEW)) as later:
            assert await kept_id_token(later, session) is None


async def test_without_a_secret_nothing_is_kept(url: str) -> None:
    sessions = SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", secret_key=None))
    with pytest.raises(ValueError, match="secret_key"):
        await keep_id_token(sessions, fake_session(), ID_TOKEN)
    assert await kept_id_token(sessions, fake_session()) is None


async def test_one_that_fits_into_no_address_is_not_kept_and_the_login_goes_on(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    session = (await sessions.create_new_session_without_request("ada")).session
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        assert not await keep_id_token(sessions, session, f"a.b.{'c' * LONGEST}")
    assert "7005 characters" not in caplog.text
    assert "7004 characters" in caplog.text
    assert await keep_id_token(sessions, session, f"a.b.{'c' * (LONGEST - 4)}")


@pytest.mark.parametrize(("token", "error"), [(None, TypeError), (b"a.b.c", TypeError), ("a.b", ValueError)])
async def test_what_is_no_id_token_is_refused(sessions: SessionManager, token: Any, error: type[Exception]) -> None:
    session = (await sessions.create_new_session_without_request("ada", session_info={"cart": []})).session
    with pytest.raises(error, match="id_token"):
        await keep_id_token(sessions, session, token)
    assert await session.get_session_info() == {"cart": []}


async def test_beside_data_that_are_no_object_there_is_no_room(sessions: SessionManager) -> None:
    session = (await sessions.create_new_session_without_request("ada", session_info=["tea"])).session
    with pytest.raises(ValueError, match="session_info"):
        await keep_id_token(sessions, session, ID_TOKEN)
    assert await session.get_session_info() == ["tea"]
    assert await kept_id_token(sessions, session) is None


async def test_of_a_session_that_has_ended_there_is_none(sessions: SessionManager) -> None:
    session = (await sessions.create_new_session_without_request("ada")).session
    await keep_id_token(sessions, session, ID_TOKEN)
    await session.revoke_session()
    with pytest.raises(Unauthorised):
        await kept_id_token(sessions, session)
    with pytest.raises(Unauthorised):
        await keep_id_token(sessions, session, ID_TOKEN)


async def test_managers_and_sessions_are_not_confused(sessions: SessionManager) -> None:
    with pytest.raises(TypeError, match="sessions must be a SessionManager"):
        await kept_id_token(fake_session(), fake_session())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="session must be a Session"):
        await keep_id_token(sessions, "a-handle", ID_TOKEN)  # type: ignore[arg-type]


async def test_tests_of_applications_keep_it_in_a_session_that_only_seems(sessions: SessionManager) -> None:
    session = fake_session("ada")
    await keep_id_token(sessions, session, ID_TOKEN)
    assert await kept_id_token(sessions, session) == ID_TOKEN
