"""A browser that comes with an older version's cookies after the upgrade, its access token expired: nothing is lost."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.routing import Mount

from asgi_sessions import SessionManager, session_routes
from tests.asgi.apps import ACCESS, LIFETIME, REFRESH, application, new_manager
from tests.clocks import MovableClock
from tests.older_version import as_an_older_version
from tests.security.browser import Browser

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")  # the database's, which says when the upgrade was


@pytest.fixture
async def upgraded(tmp_path: Path, clock: MovableClock) -> AsyncIterator[SessionManager]:
    path = tmp_path / "sessions.db"
    where = {"database_url": f"sqlite+aiosqlite:///{path}"}
    async with new_manager(clock, **where):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM asgi_sessions_state WHERE name = 'upgraded_at'")
        connection.commit()
    async with new_manager(clock, **where) as sessions:
        yield sessions


@pytest.fixture(params=[(ACCESS, REFRESH), (REFRESH,)], ids=["both cookies", "the refresh cookie alone"])
async def browser(upgraded: SessionManager, clock: MovableClock, request: pytest.FixtureRequest) -> Browser:
    older = await as_an_older_version(upgraded, await upgraded.create_new_session_without_request("alice"))
    clock.advance(LIFETIME)
    browser = Browser(application(upgraded, Mount("/auth", routes=session_routes())), host="testserver")
    jar = {ACCESS: older.access, REFRESH: older.refresh}
    browser.cookies |= {name: jar[name] for name in request.param}
    return browser


async def test_it_is_refreshed(browser: Browser) -> None:
    answer = await browser.get("/me")
    assert (answer.status, set(answer.set_values)) == (200, {ACCESS, REFRESH})
    assert (await browser.get("/me")).status == 200


async def test_it_is_refreshed_where_it_asks_for_that(browser: Browser) -> None:
    assert (await browser.post("/auth/session/refresh")).status == 200
    assert (await browser.get("/me")).status == 200


async def test_its_sign_out_ends_the_session(browser: Browser, upgraded: SessionManager) -> None:
    assert (await browser.post("/auth/signout")).status == 200
    assert await upgraded.get_all_session_handles_for_user("alice") == []


async def test_its_login_replaces_the_session(browser: Browser, upgraded: SessionManager) -> None:
    answer = await browser.post("/login")
    assert answer.status == 200
    assert await upgraded.get_all_session_handles_for_user("alice") == [answer.json()["handle"]]
