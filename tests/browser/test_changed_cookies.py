"""Other settings of the cookies, and planted copies, in the jar of a real browser."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from asgi_sessions import SessionSettings
from asgi_sessions.testing import MovableClock
from tests.reference.http_app import Server

FETCH = """
const done = arguments[arguments.length - 1];
fetch(arguments[0], {method: arguments[1], headers: {"Content-Type": "application/json"},
                     body: arguments[1] === "GET" ? undefined : '{"user_id": "alice"}'})
  .then(answer => answer.text().then(text => done([answer.status, text])));
"""
NAMES = ("sAccessToken", "sRefreshToken")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on one database with one clock; cookies do not tell ports apart."""
    running: list[Server] = []
    clock = MovableClock()

    def start(**settings: Any) -> Server:
        given = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", "revocation_check": "database"}
        running.append(Server(SessionSettings(**given, **settings), clock))
        return running[-1]

    yield start
    for server in running:
        server.close()


class _Shop:
    def __init__(self, browser: Chrome, server: Server) -> None:
        self._browser = browser
        self.url = server.url.replace("127.0.0.1", "app.shop.localhost")

    def ask(self, method: str, path: str) -> tuple[int, str]:
        if not self._browser.current_url.startswith(self.url):
            self._browser.get(f"{self.url}/openapi.json")  # a page of this origin that asks for no session
        status, text = self._browser.execute_async_script(FETCH, path, method)
        return int(status), str(text)

    def jar(self) -> set[tuple[str, str, str]]:
        found = self._browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
        return {(cookie["name"], cookie["domain"], cookie["path"]) for cookie in found}


def cookies(prefix: str, domain: str) -> set[tuple[str, str, str]]:
    return {(prefix + name, domain, "/") for name in NAMES}


def test_a_cookie_domain_set_later_logs_nobody_out_and_hides_nothing(
    serve: Callable[..., Server], new_browser: Callable[..., Chrome]
) -> None:
    before = serve()
    after = serve(cookie_domain="shop.localhost", older_cookie_domains="host-only")
    browser = new_browser()
    old, new = _Shop(browser, before), _Shop(browser, after)
    assert old.ask("POST", "/login")[0] == 200
    assert new.jar() == cookies("__Host-", "app.shop.localhost")
    assert new.ask("GET", "/me")[0] == 200
    before.clock.advance(timedelta(minutes=6))
    assert new.ask("GET", "/me")[0] == 200
    assert new.jar() == cookies("__Secure-", ".shop.localhost")
    assert new.ask("POST", "/auth/signout")[0] == 200
    assert new.jar() == set()
    # Signed out before anything was moved: after a rollback nobody is logged in.
    assert old.ask("POST", "/login")[0] == 200
    assert new.ask("POST", "/auth/signout")[0] == 200
    assert new.jar() == set()
    assert old.ask("GET", "/me")[0] == 401


@pytest.mark.parametrize("partitioned", [False, True])
def test_after_a_sign_out_that_was_refused_for_planted_cookies_the_next_one_ends_the_session(
    serve: Callable[..., Server], new_browser: Callable[..., Chrome], partitioned: bool
) -> None:
    browser = new_browser()
    shop = _Shop(browser, serve(cookie_prefix="none"))
    assert shop.ask("POST", "/login")[0] == 200
    own = {cookie["name"]: cookie["value"] for cookie in browser.get_cookies()}
    head, _, rest = own["sAccessToken"].partition(".")
    places = [
        (domain, path)
        for domain in ("app.shop.localhost", "shop.localhost")
        for path in ("/", "/auth", "/auth/", "/auth/signout")
    ]
    for number, (domain, path) in enumerate(places):
        planted = f"{head}.{number:08}{rest[8:]}"
        cookie = {"name": "sAccessToken", "value": planted, "domain": f".{domain}", "path": path, "secure": True}
        if partitioned:
            site = {"topLevelSite": "http://shop.localhost", "hasCrossSiteAncestor": False}
            cookie |= {"partitionKey": site, "sameSite": "None"}
        assert browser.execute_cdp_cmd("Network.setCookie", cookie)["success"]
    assert len(shop.jar()) == len(own) + len(places)
    status, text = shop.ask("POST", "/auth/signout")
    assert (status, "too_many_cookies" in text) == (431, True)
    assert shop.jar() == cookies("", "app.shop.localhost")
    assert shop.ask("GET", "/me")[0] == 200
    assert shop.ask("POST", "/auth/signout")[0] == 200
    assert shop.jar() == set()
