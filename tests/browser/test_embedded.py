"""Our pages in a frame of another site: partitioned cookies (CHIPS), in browsers that block third-party ones."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from asgi_sessions import SessionSettings
from asgi_sessions.testing import MovableClock
from tests.browser.another_site import AnotherSite
from tests.browser.firefox import Firefox
from tests.patience import PATIENCE
from tests.reference.http_app import Server

OURS, PORTAL, OTHER = "shop.localhost", "portal.localhost", "other.localhost"
NONE: dict[str, Any] = {"cookie_samesite": "none"}
PARTITIONED: dict[str, Any] = {**NONE, "cookie_partitioned": True}
ENGINES = ("chromium", "firefox")
"""Those that have CHIPS."""
NO_THIRD_PARTY: dict[str, dict[str, Any]] = {
    "chromium": {"profile.cookie_controls_mode": 1},
    "firefox": {"network.cookie.cookieBehavior": 5, "network.cookie.cookieBehavior.optInPartitioning": True},
}
THIRD_PARTY: dict[str, dict[str, Any]] = {
    "chromium": {"profile.cookie_controls_mode": 0},
    "firefox": {"network.cookie.cookieBehavior": 0},
}
COOKIES_OF_FIREFOX = """
return Services.cookies.cookies.filter(cookie => cookie.isSession || cookie.expiry > Date.now())
  .map(cookie => cookie.originAttributes.partitionKey);
"""
"""It lists those that are over too: one that is cleared where there was none is kept, empty, and over."""
FETCH = """
const done = arguments[arguments.length - 1];
fetch(arguments[0], {method: arguments[1], headers: {"Content-Type": "application/json"},
                     body: arguments[1] === "GET" ? undefined : JSON.stringify({user_id: arguments[2]})})
  .then(answer => answer.text().then(text => done([answer.status, text])));
"""
TWO = 2
"""Our cookies in a jar where somebody is logged in."""


@pytest.fixture
def serve(certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on one database with one clock; cookies do not tell ports apart."""
    running: list[Server] = []
    clock = MovableClock()

    def start(**settings: Any) -> Server:
        given = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", "revocation_check": "database"}
        running.append(Server(SessionSettings(**given, **settings), clock, certificate=certificate))
        return running[-1]

    yield start
    for server in running:
        server.close()


class Visit:
    """One browser that goes to our site, and to sites that embed ours.

    Attributes:
        browser: Of any engine that tells its jars.
    """

    def __init__(self, browser: WebDriver, portals: AnotherSite, pages: dict[str, str]) -> None:
        self.browser = browser
        self._portals = portals
        self._pages = pages

    def top(self, server: Server) -> None:
        """Open our own site."""
        self.browser.get(server.url.replace("127.0.0.1", OURS) + "/me")

    def frame(self, server: Server, site: str = PORTAL) -> str:
        """Open a page of another site that embeds ours, and return what the frame shows."""
        self._pages["/"] = f"<!DOCTYPE html><iframe src='{server.url.replace('127.0.0.1', OURS)}/me'></iframe>"
        self.browser.get(self._portals.address(site))
        self.browser.switch_to.frame(0)
        return str(self.browser.find_element(By.TAG_NAME, "body").text)

    def ask(self, method: str, path: str, user: str = "") -> tuple[int, str]:
        """Let the page, or the frame, ask its own site."""
        status, text = self.browser.execute_async_script(FETCH, path, method, user)
        return int(status), str(text)

    def user(self) -> str | None:
        """Who is logged in here."""
        status, text = self.ask("GET", "/me")
        assert status in {200, 401}, text
        return text.partition('"user_id":"')[2].partition('"')[0] or None

    def keeps(self, jars: Mapping[str | None, int]) -> None:
        """Assert what `jars` says. Firefox may show the page an answer a moment before its jars have the cookies."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.jars()) != jars and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found == jars

    def jars(self) -> dict[str | None, int]:
        """How many cookies there are, by the site under which the browser keeps them apart."""
        if isinstance(self.browser, Chrome):
            cookies = self.browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
            return Counter(cookie.get("partitionKey", {}).get("topLevelSite") for cookie in cookies)
        assert isinstance(self.browser, Firefox)
        keys = self.browser.inside(COOKIES_OF_FIREFOX)  # such as (https,shop.localhost)
        return Counter("://".join(key.strip("()").split(",")) if key else None for key in keys)


@pytest.fixture(params=ENGINES)
def visit(
    request: pytest.FixtureRequest, certificate: tuple[Path, Path], open_browser: Callable[..., WebDriver]
) -> Iterator[Callable[..., Visit]]:
    """Opens a browser, by default one that blocks third-party cookies."""
    pages: dict[str, str] = {}
    with AnotherSite(pages, certificate=certificate) as portals:

        def start(preferences: dict[str, dict[str, Any]] = NO_THIRD_PARTY) -> Visit:
            return Visit(open_browser(request.param, preferences[request.param]), portals, pages)

        yield start


def test_each_site_that_embeds_ours_has_a_session_of_its_own(
    serve: Callable[..., Server], visit: Callable[..., Visit]
) -> None:
    shop, who = serve(**PARTITIONED), visit()
    assert "unauthorised" in who.frame(shop)
    assert who.ask("POST", "/login", "alice")[0] == 200
    assert who.user() == "alice"
    who.keeps({f"https://{PORTAL}": TWO})

    who.top(shop)
    assert who.user() is None
    assert who.ask("POST", "/login", "bob")[0] == 200
    who.frame(shop, OTHER)
    assert who.user() is None
    assert '"user_id":"alice"' in who.frame(shop)

    # The frame is opened again when its access token is over: its own navigation refreshes.
    shop.clock.advance(timedelta(minutes=6))
    assert '"user_id":"alice"' in who.frame(shop)
    assert who.user() == "alice"
    shop.clock.advance(timedelta(minutes=6))
    assert who.user() == "alice"  # and by a script of the frame
    who.keeps({f"https://{PORTAL}": TWO, f"https://{OURS}": TWO})

    # A sign-out ends the session of its own jar, and clears that jar alone.
    assert who.ask("POST", "/auth/signout")[0] == 200
    who.keeps({f"https://{OURS}": TWO})
    assert who.user() is None
    assert who.ask("POST", "/login", "alice")[0] == 200
    who.top(shop)
    assert who.user() == "bob"
    assert who.ask("POST", "/auth/signout")[0] == 200
    who.keeps({f"https://{PORTAL}": TWO})
    assert '"user_id":"alice"' in who.frame(shop)


def test_everywhere_is_everywhere(serve: Callable[..., Server], visit: Callable[..., Visit]) -> None:
    shop, who = serve(**PARTITIONED), visit()
    who.frame(shop)
    assert who.ask("POST", "/login", "alice")[0] == 200
    who.top(shop)
    assert who.ask("POST", "/login", "alice")[0] == 200
    assert who.ask("POST", "/administration/revoke-all", "alice") == (200, '{"revoked":2}')
    assert "unauthorised" in who.frame(shop)
    shop.clock.advance(timedelta(minutes=6))
    who.frame(shop)
    who.keeps({f"https://{OURS}": TWO})  # those of the other jar are cleared when they come


def test_without_the_setting_a_browser_keeps_nothing_in_a_frame(
    serve: Callable[..., Server], visit: Callable[..., Visit]
) -> None:
    shop, who = serve(**NONE), visit()
    who.frame(shop)
    assert who.ask("POST", "/login", "alice")[0] == 200
    assert who.user() is None
    who.keeps({})


@pytest.mark.parametrize("samesite", ["lax", "none"])
def test_switched_on_nobody_is_logged_out_and_nothing_is_left(
    samesite: str, serve: Callable[..., Server], visit: Callable[..., Visit]
) -> None:
    before, after = serve(cookie_samesite=samesite), serve(**PARTITIONED, older_cookie_partitioned=False)
    who = visit()
    who.top(before)
    assert who.ask("POST", "/login", "alice")[0] == 200
    who.keeps({None: TWO})
    who.top(after)
    assert who.user() == "alice"
    after.clock.advance(timedelta(minutes=6))
    assert who.user() == "alice"
    who.keeps({f"https://{OURS}": TWO})
    assert who.ask("POST", "/auth/signout")[0] == 200
    who.keeps({})
    # After a rollback there is the cookie of before beside the one that is no longer read as another's.
    who.top(before)
    assert who.ask("POST", "/login", "bob")[0] == 200
    who.top(after)
    assert who.ask("POST", "/login", "alice")[0] == 200
    assert who.user() == "alice"
    who.keeps({f"https://{OURS}": TWO})


def test_switched_on_where_third_party_cookies_were_kept_a_frame_takes_the_session_along(
    serve: Callable[..., Server], visit: Callable[..., Visit]
) -> None:
    before, after = serve(**NONE), serve(**PARTITIONED, older_cookie_partitioned=False)
    who = visit(THIRD_PARTY)
    who.frame(before)
    assert who.ask("POST", "/login", "alice")[0] == 200
    who.keeps({None: TWO})
    who.frame(after)
    assert who.user() == "alice"
    for _ in range(3):
        after.clock.advance(timedelta(minutes=6))
        assert who.user() == "alice"
        who.keeps({f"https://{PORTAL}": TWO})
    who.top(after)
    assert who.user() is None


@pytest.mark.parametrize("samesite", ["lax", "none"])
def test_switched_off_nobody_is_logged_out_at_the_top_and_a_frame_lets_go(
    samesite: str, serve: Callable[..., Server], visit: Callable[..., Visit]
) -> None:
    before, after = serve(**PARTITIONED), serve(cookie_samesite=samesite, older_cookie_partitioned=True)
    who = visit()
    who.frame(before)
    assert who.ask("POST", "/login", "bob")[0] == 200
    who.top(before)
    assert who.ask("POST", "/login", "alice")[0] == 200
    who.top(after)
    after.clock.advance(timedelta(minutes=6))
    assert who.user() == "alice"
    who.keeps({None: TWO, f"https://{PORTAL}": TWO})
    who.frame(after)
    assert who.user() == "bob"  # once more: the answer clears, and the browser keeps nothing else of a frame
    assert who.user() is None
    who.keeps({None: TWO})
    assert who.ask("POST", "/administration/handles", "bob")[1].count('"') == TWO * 2  # bob's is there: no theft
