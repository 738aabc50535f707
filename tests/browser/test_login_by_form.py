"""An identity provider's page posts the user back to us (form_post, SAML): real origins, real cookie rules."""

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import compare_digest
from urllib.parse import parse_qs

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse
from selenium.common import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait
from starlette.responses import Response

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.testing import MovableClock
from tests.browser.another_site import AnotherSite
from tests.patience import PATIENCE
from tests.reference.http_app import Server

OURS, PROVIDER, EVIL = "shop.localhost", "provider.localhost", "evil.localhost"
STATE = "__Host-login-state"
FORM = """<!DOCTYPE html><title>provider</title>
    <form id=form method=post action="{target}"><input name=state value="{state}"><input name=user value=bob></form>"""
FETCH = """
const done = arguments[arguments.length - 1];
const body = new URLSearchParams({state: "s3cret", user: "bob"});
fetch(arguments[0], {method: "POST", mode: "no-cors", credentials: "include", body})
  .then(() => done("answered"), () => done("failed"));
"""
SHOWN = """
return location.hostname === arguments[0] && document.readyState === "complete" && document.body.innerText
"""
ASK = """
const [path, user_id] = arguments, done = arguments[arguments.length - 1];
fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({user_id})})
  .then(answer => answer.text()).then(done);
"""


def callbacks(origins: dict[str, str]) -> Callable[[FastAPI, SessionManager], None]:
    """The routes of a login by form; which origin they name is known only when the provider has its port."""

    def add(app: FastAPI, sessions: SessionManager) -> None:
        @app.get("/start")
        async def start() -> Response:
            answer = Response("")
            answer.set_cookie(STATE, "s3cret", max_age=600, secure=True, httponly=True, samesite="none")
            return answer

        @app.post("/callback")
        async def callback(request: Request) -> Response:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            if not compare_digest(request.cookies.get(STATE, ""), form.get("state", "")):
                raise HTTPException(400, "This browser has not asked for this login.")
            await sessions.create_new_session(request, form["user"], allow_origin=origins["allowed"])
            return RedirectResponse("/me?by=form", 303)

    return add


@pytest.fixture
def origins() -> dict[str, str]:
    return {}


@pytest.fixture(params=["lax", "strict"])
def shop(
    request: pytest.FixtureRequest, origins: dict[str, str], certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[Server]:
    address = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    settings = SessionSettings(database_url=address, cookie_samesite=request.param)
    server = Server(settings, MovableClock(), more=callbacks(origins), certificate=certificate)
    yield server
    server.close()


def submitted(browser: WebDriver, page: str) -> str:
    """What the browser shows after the form of a page was sent."""
    browser.get(page)
    browser.execute_script("document.getElementById('form').submit()")
    # A page that goes while it is looked at is told as one of several errors.
    wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))
    return str(wait.until(lambda driver: driver.execute_script(SHOWN, OURS)))


@pytest.mark.parametrize("policy", ["strict-origin-when-cross-origin", "no-referrer"])
def test_the_form_of_the_named_origin_logs_in_and_no_other_sites_does(
    policy: str, shop: Server, origins: dict[str, str], certificate: tuple[Path, Path], any_browser: WebDriver
) -> None:
    ours, browser = shop.url.replace("127.0.0.1", OURS), any_browser
    browser.get(f"{ours}/start")
    assert '"user_id":"alice"' in browser.execute_async_script(ASK, "/login", "alice")
    pages = {
        path: FORM.format(target=f"{ours}/callback", state=state)
        for path, state in (("/", "s3cret"), ("/forged", "another browser's"))
    }
    with AnotherSite(pages, {"Referrer-Policy": policy}, certificate=certificate) as site:
        origins["allowed"] = site.address(PROVIDER, "")
        # Another site's form, a script of the very provider, a login that was begun in another browser: refused, and
        # alice is still logged in.
        assert "csrf_rejected" in submitted(browser, site.address(EVIL))
        browser.get(site.address(PROVIDER))
        assert browser.execute_async_script(FETCH, f"{ours}/callback") == "answered"
        assert "has not asked" in submitted(browser, site.address(PROVIDER, "/forged"))
        browser.get(f"{ours}/me")
        assert '"user_id":"alice"' in browser.find_element(By.TAG_NAME, "body").text
        assert browser.execute_async_script(ASK, "/administration/handles", "bob") == '{"handles":[]}'
        # The provider's form. Where its pages tell no referrer, their origin is null and has to be named so.
        if policy == "no-referrer":
            assert "csrf_rejected" in submitted(browser, site.address(PROVIDER))
            origins["allowed"] = "null"
        shown = submitted(browser, site.address(PROVIDER))
        assert browser.current_url == f"{ours}/me?by=form"
        if shop.settings.cookie_samesite == "strict":
            assert "unauthorised" in shown  # the redirect belongs to what another site began: no Strict cookies
            browser.get(f"{ours}/me")
            shown = browser.find_element(By.TAG_NAME, "body").text
        assert '"user_id":"bob"' in shown
        assert {cookie["name"] for cookie in browser.get_cookies()} == {
            *("__Host-sAccessToken", "__Host-sRefreshToken"),
            STATE,
        }
