"""The browser helper in browsers: pages, tabs and workers, sign-outs elsewhere, and the way back to an old page."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.helper_app import CLOCK
from tests.patience import PATIENCE
from tests.servers import free_port
from tests.uvicorn_server import SECRET, UvicornServer

HUNDRED = 100
EXPIRED = 301
IDLE = 3600
REFRESH = "POST /auth/session/refresh"
LOG_IN = "const [user, done] = arguments; fetch('/log-in?user=' + user, {method: 'POST'}).then(() => done())"
CALLS = """
const [count, from, done] = arguments;
Promise.all(Array.from({length: count}, (_, n) => session.fetch(`/me?n=${from}-${n}`).then(a => a.status, String)))
  .then(done);
"""
# In each tab as soon as the other one says so: a tab that is not in front runs no script of WebDriver.
AT_ONCE = """
window.statuses = [];
const start = new BroadcastChannel("start");
start.onmessage = window.go = async () => {
  const calls = Array.from({length: arguments[0]}, (_, n) => session.fetch(`/me?tab=${arguments[1]}-${n}`));
  window.statuses = (await Promise.all(calls)).map(answer => answer.status);
};
window.start = () => { start.postMessage(""); go(); };
"""

# The page's clock, which the test moves. Scripts of Firefox's driver have a Date of their own.
AHEAD = """
window.ahead = 0;
const now = window.Date.now;
window.Date.now = () => now() + 1000 * window.ahead;
"""


class Visit:
    """A browser, and the server that it visits, over TLS: as some browsers want it for their cookies.

    Attributes:
        browser: The browser.
        server: The server.
        address: Its address.
    """

    def __init__(self, browser: WebDriver, server: UvicornServer, clock: Path) -> None:
        self.browser = browser
        self.server = server
        self.address = f"https://localhost:{server.port}"
        self._clock = clock

    def later(self, seconds: int) -> None:
        new = self._clock.with_suffix(".new")
        new.write_text(str(int(self._clock.read_text()) + seconds * 1000))
        os.replace(new, self._clock)

    def opens(self, path: str = "/") -> None:
        self.browser.get(self.address + path)

    def logs_in(self, user: str = "Ada") -> None:
        self.opens("/elsewhere")
        self.browser.execute_async_script(LOG_IN, user)

    def shows(self, heading: str) -> None:
        self.waits(lambda _: self.browser.find_element(By.TAG_NAME, "h1").text == heading)

    def waits(self, until: Callable[[WebDriver], object]) -> None:
        # Between two documents drivers fail with errors of no class of their own.
        WebDriverWait(self.browser, PATIENCE, ignored_exceptions=(WebDriverException,)).until(until)

    def js(self, expression: str) -> Any:
        """The value of an expression, which may be a promise."""
        return self.browser.execute_async_script(
            f"const done = arguments[0]; Promise.resolve({expression}).then(done, error => done(String(error)))"
        )

    def ends_elsewhere(self, user: str = "Ada") -> None:
        """Another device does it: without cookies."""
        asking = f"fetch('/other-device?user={user}', {{method: 'POST', credentials: 'omit'}})"
        assert self.js(f"{asking}.then(answer => answer.status)") == 200

    def asked(self, line: str) -> int:
        return int(self.js("fetch('/counts').then(answer => answer.json())").get(line, 0))

    def is_told(self, *reasons: str) -> None:
        self.waits(lambda _: self.js("window.reasons") == [*reasons])

    def new_tab(self, path: str = "/") -> str:
        """The tab of before; the new one is in front."""
        before = self.browser.current_window_handle
        self.browser.switch_to.new_window("tab")
        self.opens(path)
        return before


@contextmanager
def visiting(
    browser: WebDriver, folder: Path, certificate: tuple[Path, Path], port: int | None = None, **settings: str
) -> Iterator[Visit]:
    clock = folder / "clock"
    if not clock.exists():
        clock.write_text("0")
    given = {
        CLOCK: str(clock),
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_IDLE_TIMEOUT": str(IDLE),
        "ASGI_SESSIONS_MAX_CLOCK_DIFFERENCE": "1d",
        **{f"ASGI_SESSIONS_{name.upper()}": value for name, value in settings.items()},
    }
    tls = ["--ssl-certfile", str(certificate[0]), "--ssl-keyfile", str(certificate[1])]
    with UvicornServer("tests.browser.helper_app:app", folder, given, options=tls, port=port) as server:
        yield Visit(browser, server, clock)


@pytest.fixture(params=["inline", "endpoint"])
def refresh(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visit(any_browser: WebDriver, refresh: str, tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Visit]:
    with visiting(any_browser, tmp_path, certificate, refresh=refresh) as visit:
        yield visit


@pytest.fixture
def inline(any_browser: WebDriver, tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Visit]:
    with visiting(any_browser, tmp_path, certificate) as visit:
        yield visit


def test_none_of_a_hundred_requests_fails_and_the_tokens_are_refreshed_once(visit: Visit, refresh: str) -> None:
    visit.logs_in()
    visit.opens()
    visit.shows("Ada")
    for expiry in range(1, 3):
        visit.later(EXPIRED)
        assert visit.browser.execute_async_script(CALLS, HUNDRED, expiry) == [200] * HUNDRED
        assert visit.asked(REFRESH) == (expiry if refresh == "endpoint" else 0)
    assert visit.js("window.reasons") == []


def test_two_tabs_refresh_once_between_them(visit: Visit, refresh: str) -> None:
    visit.logs_in()
    visit.opens()
    visit.shows("Ada")
    visit.browser.execute_script(AT_ONCE, HUNDRED // 2, 1)
    first = visit.new_tab()
    visit.shows("Ada")
    visit.browser.execute_script(AT_ONCE, HUNDRED // 2, 2)
    visit.later(EXPIRED)
    visit.browser.execute_script("start()")
    for tab in (visit.browser.current_window_handle, first):
        visit.browser.switch_to.window(tab)
        visit.waits(lambda _: visit.js("window.statuses") == [200] * (HUNDRED // 2))
    assert visit.asked(REFRESH) == (1 if refresh == "endpoint" else 0)


def test_a_sign_out_in_one_tab_is_told_in_the_other(visit: Visit) -> None:
    visit.logs_in()
    visit.opens()
    visit.shows("Ada")
    first = visit.new_tab()
    visit.shows("Ada")
    visit.later(EXPIRED)
    assert visit.js("session.signOut().then(answer => answer.status)") == 200
    visit.is_told("signed_out")
    visit.browser.switch_to.window(first)
    visit.is_told("unauthorised")  # by the other tab alone: it has no socket, and looks once an hour


@pytest.mark.parametrize("path", ["/socket", "/events"])
def test_a_sign_out_on_another_device_is_told_by_a_socket_or_stream(inline: Visit, path: str) -> None:
    inline.logs_in()
    inline.opens(path)
    inline.shows("Ada")
    opened = f"{'WebSocket' if path == '/socket' else 'GET'} /api{path}"
    inline.waits(lambda _: inline.asked(opened))
    inline.ends_elsewhere()
    inline.is_told("unauthorised")
    assert inline.asked(opened) == 1


@pytest.mark.parametrize("path", ["/socket", "/events"])
def test_a_socket_or_stream_comes_back_after_the_server_and_hears_of_the_end_then(
    any_browser: WebDriver, tmp_path: Path, certificate: tuple[Path, Path], path: str
) -> None:
    port, opened = free_port(), f"{'WebSocket' if path == '/socket' else 'GET'} /api{path}"
    with visiting(any_browser, tmp_path, certificate, port) as visit:
        visit.logs_in()
        visit.opens(path)
        visit.shows("Ada")
        visit.waits(lambda _: visit.asked(opened))
    with visiting(any_browser, tmp_path, certificate, port) as visit:
        visit.waits(lambda _: visit.asked(opened))
        assert visit.js("window.reasons") == []
        visit.ends_elsewhere()
        visit.is_told("unauthorised")


def test_back_to_a_page_of_a_session_that_lives_shows_it_as_it_was(inline: Visit) -> None:
    inline.logs_in()
    goes_and_comes_back(inline, "")
    inline.waits(lambda _: inline.js("getComputedStyle(document.body).visibility") == "visible")
    assert inline.js("getComputedStyle(document.documentElement).opacity") == "1"
    assert inline.js("window.reasons") == []


def test_back_to_a_page_after_a_sign_out_shows_nothing_private(inline: Visit) -> None:
    inline.logs_in()
    goes_and_comes_back(inline, "fetch('/auth/signout', {method: 'POST'})")
    inline.shows("Nobody")
    assert inline.js("window.wasThere") is None  # it has been loaded anew


def test_back_to_a_page_after_another_users_login_shows_that_ones(inline: Visit) -> None:
    inline.logs_in()
    goes_and_comes_back(inline, "fetch('/log-in?user=Bob', {method: 'POST'})")
    inline.shows("Bob")
    assert inline.js("window.wasThere") is None


def goes_and_comes_back(visit: Visit, meanwhile: str) -> None:
    """The page notes, in storage, whether anybody could have seen it before the server had been asked."""
    visit.opens()
    visit.shows("Ada")
    visit.browser.execute_script(
        """
        window.wasThere = true;
        sessionStorage.clear();
        addEventListener("pageshow", ({persisted}) => {
          sessionStorage.back = [persisted, getComputedStyle(document.querySelector("h1")).visibility].join(" ");
        });
        """
    )
    visit.opens("/elsewhere")
    if meanwhile:
        visit.js(meanwhile)
    visit.browser.back()
    visit.waits(lambda _: visit.js("location.pathname") == "/")
    # If the browser had not kept the page there would be nothing to hide.
    visit.waits(lambda _: visit.js("sessionStorage.back") == "true hidden")


def test_a_worker_is_no_page_and_can_do_as_much(visit: Visit, refresh: str) -> None:
    visit.logs_in()
    visit.later(EXPIRED)
    visit.browser.execute_script(
        """
        window.told = [];
        window.worker = new Worker("/worker.js", {type: "module"});
        worker.onmessage = ({data}) => told.push(data);
        worker.postMessage(10);
        """
    )
    visit.waits(lambda _: visit.js("window.told") == [[200] * 10])
    assert visit.asked(REFRESH) == (1 if refresh == "endpoint" else 0)
    visit.ends_elsewhere()
    visit.browser.execute_script("worker.postMessage(1)")
    visit.waits(lambda _: visit.js("window.told.slice(1)") == ["unauthorised", [401]])


def test_somebody_who_types_stays_signed_in_and_an_open_page_does_not(inline: Visit) -> None:
    inline.logs_in()
    inline.opens()
    inline.shows("Ada")
    inline.browser.execute_script(AHEAD)
    field = inline.browser.find_element(By.TAG_NAME, "input")

    def passes(seconds: int) -> None:
        inline.later(seconds)
        inline.browser.execute_script(f"window.ahead += {seconds}")

    field.send_keys("early")
    passes(IDLE // 2 + 60)
    field.send_keys("later")  # one key is enough, and the others change nothing
    inline.waits(lambda _: inline.js("session.check().then(view => view.expires_in)") > IDLE - 120)
    assert inline.asked(REFRESH) == 1
    passes(IDLE // 2 + 60)  # it would have ended by now
    assert inline.js("session.check().then(view => view.user_id)") == "Ada"
    assert inline.asked(REFRESH) == 1
    passes(IDLE // 2)
    inline.browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")  # somebody looks at it
    inline.is_told("unauthorised")


def test_with_anti_csrf_tokens_tabs_do_not_take_them_from_each_other(
    new_browser: Callable[..., Chrome], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with visiting(new_browser(), tmp_path, certificate, refresh="endpoint", csrf="token") as visit:
        visit.logs_in()
        visit.opens()
        visit.shows("Ada")
        first = visit.new_tab()
        visit.shows("Ada")
        second, refreshes = visit.browser.current_window_handle, visit.asked(REFRESH)
        assert refreshes == 2  # each page begins with one
        for tab in (first, second, first):
            visit.browser.switch_to.window(tab)
            assert visit.js("session.fetch('/me', {method: 'POST'}).then(answer => answer.status)") == 200
        assert visit.asked(REFRESH) == refreshes


def test_a_page_that_was_offline_asks_as_soon_as_it_is_back(
    new_browser: Callable[..., Chrome], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    browser = new_browser()
    with visiting(browser, tmp_path, certificate) as visit:
        visit.logs_in()
        visit.opens()
        visit.shows("Ada")
        network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **network})
        assert visit.js("session.check().then(String)") == "undefined"
        assert visit.js("window.reasons") == []
        visit.later(2 * IDLE)
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **network})
        visit.is_told("unauthorised")


def test_the_documentations_page_works(new_browser: Callable[..., Chrome], tmp_path: Path) -> None:
    settings = {
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
    }
    with UvicornServer("tests.browser.helper_docs_app:app", tmp_path, settings) as server:
        visit = Visit(new_browser(), server, tmp_path / "clock")
        visit.address = f"http://localhost:{server.port}"
        visit.opens()
        visit.shows("Hello alice!")
        visit.waits(lambda _: '"WebSocket /live" [accepted]' in server.log)
        visit.js("fetch('/auth/signout', {method: 'POST'})")  # the page does not know of it
        visit.shows("You are signed out.")
