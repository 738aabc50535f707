"""Litestar, Quart, BlackSheep, Sanic and Django with the handlers of docs/frameworks.md answer as Starlette does."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import ConfigurationError, SessionManager
from asgi_sessions.protocol.cookies import ACCESS_COOKIE, REFRESH_COOKIE
from asgi_sessions.testing import MovableClock
from tests.frameworks.sites import FRAMEWORKS, headings, started
from tests.revocation.polling import grow_old, stop_polling
from tests.security.browser import Answer, Browser

BOTH = {f"__Host-{ACCESS_COOKIE}", f"__Host-{REFRESH_COOKIE}"}
LIFETIME = 301.0
"""Seconds after which an access token has expired."""


def only(answer: Answer, name: str) -> str:
    [value] = answer.all(name)
    return value


def browser_of(site: Any) -> Browser:
    """One that stays until it has its answer: these frameworks look whether it is still there."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answered = asyncio.Event()

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                await answered.wait()
            return message

        async def say(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                answered.set()

        await site.app(scope, hear, say)

    return Browser(app)


async def login(site: Any) -> Browser:
    browser = browser_of(site)
    assert (await browser.post("/login")).json() == {"user": "alice"}
    return browser


async def test_login_sets_cookies_refresh_replaces_them_and_logout_clears_them(
    site: Any, sessions: SessionManager, clock: MovableClock
) -> None:
    async with started(site.app):
        browser = browser_of(site)
        answer = await browser.post("/login")
        assert set(answer.set_values) == BOTH
        assert all("; HttpOnly; Secure; SameSite=Lax" in cookie for cookie in answer.set_cookies)
        assert "no-store" in answer.all("cache-control")

        answer = await browser.get("/me")
        assert (answer.status, answer.json(), answer.set_cookies) == (200, {"user": "alice"}, [])

        before = dict(browser.cookies)
        clock.advance(LIFETIME)
        answer = await browser.get("/me")
        assert (answer.status, set(answer.set_values)) == (200, BOTH)
        assert not set(before.values()) & set(browser.cookies.values())

        answer = await browser.post("/logout")
        assert answer.status // 100 == 2
        assert (answer.cleared, browser.cookies) == (BOTH, {})


@pytest.mark.parametrize("pasted_site", ["Django"], indirect=True)
async def test_a_view_of_django_in_a_thread_knows_the_session(site: Any, sessions: SessionManager) -> None:
    async with started(site.app):
        browser = await login(site)
        assert (await browser.get("/me-too")).json() == {"user": "alice"}
        assert (await browser_of(site).get("/me-too")).code == "unauthorised"


def test_every_section_of_the_page_is_driven() -> None:
    assert set(headings()) == {*FRAMEWORKS, "python-socketio", "Gradio"}


async def test_nobody_gets_401(site: Any, sessions: SessionManager) -> None:
    async with started(site.app):
        answer = await browser_of(site).get("/me")
        assert (answer.status, answer.code) == (401, "unauthorised")
        assert only(answer, "www-authenticate") == 'Bearer realm="session"'
        assert only(answer, "cache-control") == "no-store"
        assert only(answer, "content-type").startswith("application/json")
        assert len(answer.all("content-length")) <= 1


async def test_who_was_logged_out_elsewhere_gets_401_and_loses_the_cookies(site: Any, sessions: SessionManager) -> None:
    async with started(site.app):
        browser = await login(site)
        await sessions.revoke_all_sessions_for_user("alice")
        answer = await browser.get("/me")
        assert (answer.status, answer.code, answer.cleared) == (401, "unauthorised", BOTH)


async def test_another_sites_page_gets_403(site: Any, sessions: SessionManager) -> None:
    async with started(site.app):
        browser = await login(site)
        answer = await browser.post("/logout", [("sec-fetch-site", "cross-site")])
        assert (answer.status, answer.code, answer.set_cookies) == (403, "csrf_rejected", [])
        assert (await browser.get("/me")).status == 200


async def test_without_the_database_the_answer_is_503(site: Any, sessions: SessionManager) -> None:
    async with started(site.app):
        browser = await login(site)
        await stop_polling(sessions)
        await sessions.lifecycle._sessions._run(text("DROP TABLE asgi_sessions_sessions"), {})
        grow_old(sessions, sessions.settings.revocation_max_staleness.total_seconds() + 1)
        answer = await browser.get("/me")
        assert (answer.status, answer.code, answer.set_cookies) == (503, "store_unavailable", [])
        assert only(answer, "retry-after") == "1"


async def test_the_developers_mistake_stays_a_500(site: Any, sessions: SessionManager) -> None:
    """The manager does not run."""
    async with started(site.app):
        await sessions.stop()
        answer = await browser_of(site).get("/me", raises=False)
        assert answer.status == 500 or isinstance(answer.error, ConfigurationError)  # of which the server makes a 500
        assert answer.code is None
