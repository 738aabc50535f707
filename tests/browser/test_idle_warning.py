"""The page warns before the session ends because nobody uses it, and one press keeps it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.idle_app import CLOCK, WARN_BEFORE
from tests.patience import PATIENCE
from tests.uvicorn_server import SECRET, UvicornServer

IDLE = 900
SECONDS_LEFT = "return fetch('/auth/session', {headers: {'X-Background-Request': '1'}}).then(a => a.json())"


class Visit:
    """A browser with a page open, and the clock of the server."""

    def __init__(self, browser: Chrome, server: UvicornServer, clock: Path) -> None:
        self._browser = browser
        self._clock = clock
        browser.get(f"http://localhost:{server.port}/log-in")
        browser.get(f"http://localhost:{server.port}/")
        self.sees("Signed in")

    def later(self, seconds: int) -> None:
        """Time passes; then the user looks at the tab again, as after a sleep of the computer."""
        self._clock.write_text(str(int(self._clock.read_text()) + seconds * 1000))
        self._browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

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

    def _wait(self, until: Callable[[Chrome], object]) -> None:
        WebDriverWait(self._browser, PATIENCE).until(until)


@pytest.fixture(params=["inline", "endpoint"])
def visit(request: pytest.FixtureRequest, new_browser: Callable[..., Chrome], tmp_path: Path) -> Iterator[Visit]:
    clock = tmp_path / "clock"
    clock.write_text("0")
    settings = {
        CLOCK: str(clock),
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_IDLE_TIMEOUT": str(IDLE),
        "ASGI_SESSIONS_ABSOLUTE_TIMEOUT": str(2 * IDLE),
        "ASGI_SESSIONS_REFRESH": request.param,
        "ASGI_SESSIONS_MAX_CLOCK_DIFFERENCE": "1d",
    }
    with UvicornServer("tests.browser.idle_app:app", tmp_path, settings) as server:
        yield Visit(new_browser(), server, clock)


def test_one_press_keeps_the_session_and_to_look_does_not(visit: Visit) -> None:
    visit.is_not_warned()
    visit.later(IDLE - WARN_BEFORE)
    visit.is_warned()
    assert "You will be signed out in 1" in visit.text
    assert visit.seconds_left() <= WARN_BEFORE
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
    visit.later(IDLE - WARN_BEFORE)
    visit.is_warned()
    visit.later(WARN_BEFORE)
    visit.sees("Signed out")
