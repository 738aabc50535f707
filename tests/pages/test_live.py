"""The event stream of an open page: says when the list changes, and nothing else."""

import gc
import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings
from asgi_sessions.pages import live, pages_routes
from asgi_sessions.pages.devices import version_of
from tests.asgi.apps import LIFETIME
from tests.asgi.connections import Response, errors_in, login_cookie
from tests.clocks import MovableClock
from tests.revocation.polling import poll

NEWS = "/account/devices/news"


@pytest.fixture
def app(sessions: SessionManager) -> Starlette:
    app = Starlette(routes=[Mount("/account", routes=pages_routes(sessions, sign_in_url="/sign-in"))])
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


@pytest.fixture(autouse=True)
def looks_are_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(live, "REST_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert errors_in(caplog) == []


def versions(stream: Response) -> list[str]:
    lines = stream.body.decode().splitlines()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def waiting(sessions: SessionManager) -> int:
    return len(sessions.lifecycle._listeners)


async def test_a_page_hears_of_the_end_of_each_of_its_sessions(sessions: SessionManager, app: Starlette) -> None:
    async with sessions:
        here, cookie = await login_cookie(sessions)
        there, _ = await login_cookie(sessions)
        elsewhere, _ = await login_cookie(sessions)
        other, _ = await login_cookie(sessions, "bob")
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: len(versions(stream)) == 1)
            assert versions(stream) == [version_of([here, there, elsewhere])]
            await sessions.revoke_session_using_session_handle(other)
            await sessions.revoke_session_using_session_handle(there)
            await stream.until(lambda: len(versions(stream)) == 2)
            await sessions.revoke_session_using_session_handle(elsewhere)
            await stream.until(lambda: len(versions(stream)) == 3)
            assert versions(stream)[1:] == [version_of([here, elsewhere]), version_of([here])]
            await sessions.revoke_session_using_session_handle(here)
            await stream.ended()
        gc.collect()
        assert waiting(sessions) == 0


async def test_what_another_worker_has_ended_is_heard_by_the_feed(clock: MovableClock, tmp_path: Any) -> None:
    settings = SessionSettings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    mine, other = SessionManager(settings, clock=clock), SessionManager(settings, clock=clock)
    app = Starlette(routes=[Mount("/account", routes=pages_routes(mine, sign_in_url="/sign-in"))])
    app.add_middleware(SessionMiddleware, manager=mine)
    async with mine, other:
        here, cookie = await login_cookie(mine)
        there, _ = await login_cookie(mine)
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: len(versions(stream)) == 1)
            await other.revoke_session_using_session_handle(there)
            await poll(mine)
            await stream.until(lambda: len(versions(stream)) == 2)
            assert versions(stream)[-1] == version_of([here])


async def test_a_session_that_has_begun_elsewhere_is_found_by_the_next_look(
    sessions: SessionManager, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)
    async with sessions:
        here, cookie = await login_cookie(sessions)
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: bool(versions(stream)))
            new, _ = await login_cookie(sessions)
            await stream.until(lambda: versions(stream)[-1] == version_of([here, new]))
            await sessions.revoke_session_using_session_handle(new)
            await stream.until(lambda: versions(stream)[-1] == version_of([here]))


async def test_many_ends_at_once_are_little_news(
    sessions: SessionManager, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        here, cookie = await login_cookie(sessions)
        for _ in range(30):
            await login_cookie(sessions)
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: bool(versions(stream)))
            await sessions.revoke_all_sessions_for_user("alice", except_handle=here)
            await poll(sessions)
            await stream.until(lambda: versions(stream)[-1] == version_of([here]))
            assert len(versions(stream)) <= 3


async def test_an_open_page_does_not_extend_its_session(
    sessions: SessionManager, app: Starlette, clock: MovableClock
) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        (before,) = await sessions.list_sessions_for_user("alice")
        clock.advance(LIFETIME)  # a request of the user's would refresh, and count
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: bool(versions(stream)))
        (after,) = await sessions.list_sessions_for_user("alice")
        assert (after.last_active_at, after.expires_at) == (before.last_active_at, before.expires_at)


async def test_streams_are_bounded_and_counted_back(
    sessions: SessionManager, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app, cookie, NEWS) as first:
            await first.until(lambda: bool(versions(first)))
            async with Response(app, cookie, NEWS) as second:
                await second.ended()
                assert second.status == 503
        gc.collect()
        async with Response(app, cookie, NEWS) as third:
            await third.until(lambda: bool(versions(third)))
            assert third.status == 200


async def test_a_guest_is_refused_for_a_script_to_see(sessions: SessionManager, app: Starlette) -> None:
    async with sessions, Response(app, "", NEWS) as stream:
        await stream.ended()
        assert stream.status == 401


async def test_a_database_that_is_away_ends_no_stream(
    sessions: SessionManager, app: Starlette, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)
    caplog.set_level(logging.CRITICAL)
    async with sessions:
        here, cookie = await login_cookie(sessions)
        async with Response(app, cookie, NEWS) as stream:
            await stream.until(lambda: bool(versions(stream)))
            database = sessions._runtime()._database
            assert database is not None
            async with database.engine.begin() as connection:
                await connection.exec_driver_sql("ALTER TABLE asgi_sessions_sessions RENAME TO away")
            await stream.hears(b": the database does not answer")
            async with database.engine.begin() as connection:
                await connection.exec_driver_sql("ALTER TABLE away RENAME TO asgi_sessions_sessions")
            seen = len(versions(stream))
            await stream.until(lambda: len(versions(stream)) > seen)
            assert versions(stream)[-1] == version_of([here])
            assert not stream.complete
