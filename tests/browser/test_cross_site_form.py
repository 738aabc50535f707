"""Another site's page posts a form to ours, or links to it: the user stays logged in (real cookie rules)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from asgi_sessions import SessionSettings
from asgi_sessions.testing import MovableClock
from tests.browser.another_site import AnotherSite
from tests.patience import PATIENCE
from tests.reference.http_app import Server
from tests.reference.profiles import REFERENCE

LOG_IN = """
const done = arguments[arguments.length - 1];
fetch("/login", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"user_id": "alice"}'})
  .then(answer => done(answer.status));
"""


PAGE = """<!DOCTYPE html><title>evil</title><a id=link href="{target}">here</a>
    <form id=form method=post action="{target}"></form>"""
CASES: dict[str, dict[str, Any]] = {
    "reference, lax": {**REFERENCE.values},
    "reference, strict": {**REFERENCE.values, "cookie_samesite": "strict"},
    "default, strict": {"cookie_samesite": "strict"},
}


@pytest.fixture(params=CASES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    address = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    server = Server(SessionSettings(database_url=address, **CASES[request.param]), MovableClock())
    yield server
    server.close()


def jar(browser: Chrome) -> dict[tuple[str, str], str]:
    """Every cookie of every site."""
    found = browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
    return {(cookie["name"], cookie["path"]): cookie["value"] for cookie in found}


def test_another_sites_page_leaves_the_jar_as_it_was(shop: Server, new_browser: Callable[..., Chrome]) -> None:
    ours = shop.url.replace("127.0.0.1", "localhost")
    browser = new_browser()
    browser.get(f"{ours}/me")  # not /docs, which loads scripts from elsewhere
    assert browser.execute_async_script(LOG_IN) == 200
    before = jar(browser)
    assert len(before) >= 2
    with AnotherSite({"/": PAGE.format(target=f"{ours}/me")}) as evil:
        for way in ("form", "link"):
            browser.get(evil.address("127.0.0.1"))
            if way == "form":
                browser.execute_script("document.getElementById('form').submit()")
            else:
                browser.find_element(By.ID, "link").click()
            WebDriverWait(browser, PATIENCE).until(lambda driver: driver.current_url == f"{ours}/me")
            came = way == "link" and shop.settings.cookie_samesite == "lax"
            expected = "try_refresh_token" if came else "unauthorised"  # a link sends no anti-csrf header
            assert expected in browser.find_element(By.TAG_NAME, "body").text
            assert jar(browser) == before
