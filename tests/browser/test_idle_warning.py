"""The page warns before the session ends because nobody uses it, and one press keeps it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.idle_app import CLOCK, TAGS, WARN_BEFORE
from tests.patience import PATIENCE
from tests.uvicorn_server import SECRET, UvicornServer

IDLE = 900
WARN_BEFORE_BY_DEFAULT = 120
SECONDS_LEFT = "return fetch('/auth/session', {headers: {'X-Background-Request': '1'}}).then(a => a.json())"


ANSWERS = "return performance.getEntriesByName(location.origin + arguments[0] + '/session').length"


class Visit:
    """A browser, and the clock of the server."""

    def __init__(self, browser: Chrome, server: UvicornServer, clock: Path) -> None:
        self._browser = browser
        self._server = server
        self._address = f"http://localhost:{server.port}"
        self._clock = clock

    def signs_in_at(self, path: str) -> None:
        self._browser.get(f"{self._address}/log-in")
        self.opens(path)

    def opens(self, path: str) -> None:
        self._routes = "/users/auth" if path == "/users" else "/auth"
        self._browser.get(f"{self._address}{path}")
        self.sees("A page")
        self._browser.execute_script("window.openedByThePerson = true")

    def asks_again(self) -> None:
        """The script asks, and this same page gets the answer."""
        before = self._answers()
        self.later(0)
        self._wait(lambda _: self._answers() > before)

    def has_asked(self) -> None:
        self._wait(lambda _: self._answers())

    def is_still_there(self) -> bool:
        """Whether the page has neither led elsewhere nor loaded itself again."""
        return bool(self._browser.execute_script("return window.openedByThePerson === true"))

    def later(self, seconds: int) -> None:
        """Time passes; then the user looks at the tab again, as after a sleep of the computer."""
        self._clock.write_text(str(int(self._clock.read_text()) + seconds * 1000))
        self._browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

    def signs_out_elsewhere(self) -> None:
        """Once the page has its socket, and without a touch of the page's own."""
        self._wait(lambda _: '"WebSocket /api/live" [accepted]' in self._server.log)
        self._browser.execute_script("fetch('/auth/signout', {method: 'POST'})")

    def sees(self, heading: str) -> None:
        self._wait(condition.text_to_be_present_in_element((By.TAG_NAME, "h1"), heading))

    def is_warned(self) -> None:
        self._wait(condition.visibility_of_element_located((By.CSS_SELECTOR, "dialog")))

    def is_not_warned(self) -> None:
        self._wait(condition.invisibility_of_element_located((By.CSS_SELECTOR, "dialog")))

    @property
    def text(self) -> str:
        return str(self._browser.find_element(By.CSS_SELECTOR, "dialog p").text)

    def can_stay(self) -> bool:
        return bool(self._browser.find_element(By.CSS_SELECTOR, "dialog button").is_displayed())

    def stay(self) -> None:
        self._browser.find_element(By.CSS_SELECTOR, "dialog button").click()

    def seconds_left(self) -> int:
        return int(self._browser.execute_script(SECONDS_LEFT)["expires_in"])

    def _answers(self) -> int:
        return int(self._browser.execute_script(ANSWERS, self._routes))

    def _wait(self, until: Callable[[Chrome], object]) -> None:
        # Between two documents chromedriver fails with errors of no class of their own.
        WebDriverWait(self._browser, PATIENCE, ignored_exceptions=(WebDriverException,)).until(until)


@contextmanager
def visiting(new_browser: Callable[..., Chrome], folder: Path, refresh: str) -> Iterator[Visit]:
    clock = folder / "clock"
    clock.write_text("0")
    settings = {
        CLOCK: str(clock),
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_IDLE_TIMEOUT": str(IDLE),
        "ASGI_SESSIONS_ABSOLUTE_TIMEOUT": str(2 * IDLE),
        "ASGI_SESSIONS_REFRESH": refresh,
        "ASGI_SESSIONS_MAX_CLOCK_DIFFERENCE": "1d",
    }
    with UvicornServer("tests.browser.idle_app:app", folder, settings) as server:
        yield Visit(new_browser(), server, clock)


@pytest.fixture(params=["inline", "endpoint"])
def visit(request: pytest.FixtureRequest, new_browser: Callable[..., Chrome], tmp_path: Path) -> Iterator[Visit]:
    with visiting(new_browser, tmp_path, request.param) as visit:
        yield visit


@pytest.fixture
def inline_visit(new_browser: Callable[..., Chrome], tmp_path: Path) -> Iterator[Visit]:
    with visiting(new_browser, tmp_path, "inline") as visit:
        yield visit


def test_one_press_keeps_the_session_and_to_look_does_not(visit: Visit) -> None:
    visit.signs_in_at("/with-attributes")
    visit.is_not_warned()
    visit.later(IDLE - WARN_BEFORE)
    visit.is_warned()
    assert "You will be signed out in 2" in visit.text
    assert WARN_BEFORE_BY_DEFAULT < visit.seconds_left() <= WARN_BEFORE
    visit.stay()
    visit.is_not_warned()
    assert visit.seconds_left() > IDLE - WARN_BEFORE
    # Of its absolute timeout nobody can be spared.
    visit.later(IDLE - WARN_BEFORE)
    visit.is_warned()
    assert visit.can_stay()
    visit.stay()
    visit.is_not_warned()
    visit.later(2 * WARN_BEFORE - WARN_BEFORE // 2)
    visit.is_warned()
    assert not visit.can_stay()


def test_nobody_stays_signed_in_by_a_page_that_is_open(visit: Visit) -> None:
    visit.signs_in_at("/with-attributes")
    visit.later(IDLE - WARN_BEFORE)
    visit.is_warned()
    visit.later(WARN_BEFORE)
    visit.sees("Signed out")


@pytest.mark.parametrize("path", ["/as-documented", "/bare", "/users"])
def test_the_script_needs_no_attribute_and_no_defer(inline_visit: Visit, path: str) -> None:
    inline_visit.signs_in_at(path)
    inline_visit.has_asked()
    inline_visit.is_not_warned()
    inline_visit.later(IDLE - WARN_BEFORE)
    inline_visit.asks_again()
    inline_visit.is_not_warned()
    inline_visit.later(WARN_BEFORE - WARN_BEFORE_BY_DEFAULT)
    inline_visit.is_warned()
    inline_visit.later(WARN_BEFORE_BY_DEFAULT)
    inline_visit.sees("Home")


def test_a_page_that_shows_without_a_login_stays_where_it_is(visit: Visit) -> None:
    for path in TAGS:
        visit.opens(path)
        visit.has_asked()
        for _ in range(3):
            visit.asks_again()
        assert visit.is_still_there()
        visit.is_not_warned()


def test_the_script_that_hears_of_the_end_needs_no_attribute_either(inline_visit: Visit) -> None:
    inline_visit.signs_in_at("/live")
    inline_visit.signs_out_elsewhere()
    inline_visit.sees("Home")
