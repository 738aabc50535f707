"""A session that was not to stay signed in: what a real browser keeps of it, while it is open and afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from starlette.responses import JSONResponse, Response

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.testing import MovableClock
from tests.browser.chromium import start as start_chromium
from tests.browser.person import Person, new_name
from tests.example.running_site import Site
from tests.reference.http_app import Server

LIFETIME = 301
POST = """
const done = arguments[arguments.length - 1];
fetch(arguments[0], {method: "POST"}).then(answer => done(answer.status));
"""
NAMES = {"inline": {"__Host-sAccessToken", "__Host-sRefreshToken"}}
NAMES["endpoint"] = {"__Host-sAccessToken", "__Secure-sRefreshToken"}


def log_in(app: FastAPI, sessions: SessionManager) -> None:
    @app.post("/log-in/{kind}")
    async def log_in_as(request: Request, kind: str) -> Response:
        await sessions.create_new_session(request, "alice", persistent=kind == "persistent")
        return JSONResponse({})


@pytest.fixture(params=["inline", "endpoint"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    address = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    server = Server(SessionSettings(database_url=address, refresh=request.param), MovableClock(), more=log_in)
    yield server
    server.close()


@pytest.fixture
def open_profile(chromium: str, tmp_path: Path) -> Iterator[Callable[[], Chrome]]:
    """Opens one and the same browser, again and again."""
    opened: list[Chrome] = []

    def start() -> Chrome:
        opened.append(start_chromium(tmp_path / "profile"))
        return opened[-1]

    yield start
    for browser in opened:
        browser.quit()


def expiries(browser: Chrome) -> dict[str, bool]:
    """Of each cookie of the browser, whether it has a time at which it ends."""
    cookies = browser.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]
    assert all(cookie["session"] == (cookie["expires"] == -1) for cookie in cookies)
    return {cookie["name"]: not cookie["session"] for cookie in cookies}


@pytest.mark.parametrize("kind", ["persistent", "not-persistent"])
def test_the_cookies_of_every_answer_are_those_of_the_login_and_closing_the_browser_ends_what_should_end(
    kind: str, server: Server, open_profile: Callable[[], Chrome]
) -> None:
    ours = server.url.replace("127.0.0.1", "localhost")
    names, stays = NAMES[server.settings.refresh], kind == "persistent"
    browser = open_profile()
    browser.get(f"{ours}/me")
    assert browser.execute_async_script(POST, f"/log-in/{kind}") == 200
    for _ in range(2):
        assert expiries(browser) == dict.fromkeys(names, stays)
        before = {cookie["name"]: cookie["value"] for cookie in browser.get_cookies()}
        server.clock.advance(LIFETIME)
        if server.settings.refresh == "endpoint":
            assert browser.execute_async_script(POST, server.settings.refresh_path) == 200
        browser.get(f"{ours}/me")
        assert '"user_id":"alice"' in browser.find_element(By.TAG_NAME, "body").text
        after = {cookie["name"]: cookie["value"] for cookie in browser.get_cookies()}
        assert not before.items() & after.items()
    assert expiries(browser) == dict.fromkeys(names, stays)
    browser.quit()
    browser = open_profile()
    browser.get(f"{ours}/me")
    assert ('"user_id":"alice"' in browser.find_element(By.TAG_NAME, "body").text) is stays
    assert expiries(browser) == (dict.fromkeys(names, True) if stays else {})


def test_the_box_of_the_example_is_what_the_browser_does(site: Site, new_browser: Callable[..., Chrome]) -> None:
    person = Person(new_browser(), site.url("localhost"))
    name = new_name()
    person.sign_up(name)
    assert set(expiries(person.browser).values()) == {False}
    person.press("Log out here", within="header")
    person.is_at("/sign-in")
    person.fill_in(name)
    person.browser.find_element(By.XPATH, "//label[text()='Stay signed in']").click()
    person.press("Sign in")
    person.sees_heading(f"Hello {name}")
    assert set(expiries(person.browser).values()) == {True}
    person.sees("in 14 days")
