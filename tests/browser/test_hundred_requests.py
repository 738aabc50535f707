"""A hundred requests at once right after the access token has expired: the reference library's worst case.

Measured there, of a hundred requests up to a hundred fail, and the user is logged out.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait

from tests.conftest import empty_database
from tests.patience import PATIENCE
from tests.servers import MariaDB
from tests.simulation.wire import Reply, Sending, new_jar
from tests.uvicorn_server import SECRET, UvicornServer

HUNDRED = 100
WORKERS = 2
EXPIRIES = 3
LIFETIME_MS = 301_000

# Each has an address of its own: the browser's cache lets requests for the same one wait for each other.
HUNDRED_CALLS = """
const done = arguments[arguments.length - 1];
const calls = Array.from({length: arguments[0]}, (_, n) => call(`/me?n=${n}`));
Promise.all(calls.map(answer => answer.then(found => found.status, String))).then(done);
"""

_REFRESHED = re.compile(r"^AUDIT session\.refreshed ([0-9]+)$", re.MULTILINE)


@dataclass
class Crowded:
    """The running application.

    Attributes:
        workers: Two of them.
        refresh: The setting.
        promote_on: The setting.
        clock: The file by which the workers' clocks are moved.
        server: Of the database.
        database: Its name.
    """

    workers: UvicornServer
    refresh: str
    promote_on: str
    clock: Path
    server: MariaDB
    database: str

    def expire(self) -> None:
        """Move the workers' clocks past the end of every access token."""
        now = int(self.clock.read_text())
        new = self.clock.with_suffix(".new")
        new.write_text(str(now + LIFETIME_MS))
        os.replace(new, self.clock)  # nobody reads half of it

    @property
    def given_out(self) -> list[int]:
        """Each generation of tokens that refreshes have given out so far, as each worker tells it once."""
        return [int(generation) for generation in _REFRESHED.findall(self.workers.log)]

    def has_moved_on(self, expiries: int, given_out: list[int]) -> None:
        """All refreshes after an expiry gave out the same next generation, and the row has followed."""
        assert set(given_out) == {expiries}
        ((generation, revoked),) = self.server.sql("SELECT gen, revoked_at FROM asgi_sessions_sessions", self.database)
        assert revoked == "NULL"
        # A child is promoted by the first use of its access token, or when it is refreshed itself: at an endpoint by
        # a request that learned later of the same expiry, inline after the next one.
        expected = {
            ("inline", "refresh"): {expiries - 1},
            ("endpoint", "refresh"): {expiries - 1, expiries},
        }
        assert int(generation) in expected.get((self.refresh, self.promote_on), {expiries})

    def has_no_complaints(self) -> None:
        log = self.workers.log
        assert "session.theft" not in log
        assert "session.revoked" not in log
        assert "Traceback" not in log


@pytest.fixture(scope="module", params=["inline", "endpoint"])
def refresh(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["refresh", "first_use"])
def promote_on(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(
    refresh: str, promote_on: str, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowded]:
    folder = tmp_path_factory.mktemp("crowded")
    clock = folder / "clock"
    clock.write_text("0")
    for url in empty_database(mariadb):
        environment = {
            "ASGI_SESSIONS_DATABASE_URL": url,
            "ASGI_SESSIONS_SECRET_KEY": SECRET,
            "ASGI_SESSIONS_PURGE_INTERVAL": "0",
            "ASGI_SESSIONS_REFRESH": refresh,
            "ASGI_SESSIONS_PROMOTE_ON": promote_on,
            "CROWD_CLOCK": str(clock),
        }
        with UvicornServer(
            "tests.browser.crowd_app:app", folder, environment, workers=WORKERS, options=["--no-access-log"]
        ) as workers:
            yield Crowded(workers, refresh, promote_on, clock, mariadb, url.rpartition("/")[2])


@pytest.fixture
def crowded(running: Crowded) -> Crowded:
    """With no session yet."""
    running.server.sql("DELETE FROM asgi_sessions_sessions", running.database)
    return running


def test_in_chromium_none_of_a_hundred_fails(crowded: Crowded, new_browser: Callable[..., Chrome]) -> None:
    browser = new_browser()
    browser.set_script_timeout(PATIENCE)
    wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))
    address = f"http://localhost:{crowded.workers.port}/"
    browser.get(address)
    wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "h1"), "Nobody"))
    script = "fetch('/log-in', {method: 'POST'}).then(found => arguments[0](found.status))"
    assert browser.execute_async_script(script) == 200
    for expiries in range(1, EXPIRIES + 1):
        before = crowded.given_out
        crowded.expire()
        assert browser.execute_async_script(HUNDRED_CALLS, HUNDRED) == [200] * HUNDRED
        browser.get(address)
        wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "h1"), "Hello Ada"))
        given_out = crowded.given_out[len(before) :]
        crowded.has_moved_on(expiries, given_out)
        assert len(given_out) in {1, WORKERS}
    crowded.has_no_complaints()


async def test_over_a_hundred_connections_none_of_a_hundred_fails(crowded: Crowded) -> None:
    jar, port = new_jar(), crowded.workers.port
    already_rotated = pairs = 0

    async def send(method: str, path: str) -> Reply:
        nonlocal pairs
        reply = await Sending(jar, port, method, path, {}).reply()
        pairs += any("sRefreshToken=" in cookie for cookie in reply.headers.get_all("set-cookie", []))
        return reply

    async def call() -> tuple[int, Any]:
        """As the documentation's; there is no lock between those who share the jar."""
        nonlocal already_rotated
        answer = await send("GET", "/me")
        if answer.told_to_refresh:
            refreshed = await send("POST", "/auth/session/refresh")
            already_rotated += refreshed.status == 409
            if refreshed.status in {200, 409}:
                answer = await send("GET", "/me")
        return answer.status, answer.body

    assert (await send("POST", "/log-in")).status == 200
    for expiries in range(1, EXPIRIES + 1):
        before, already_rotated, pairs = crowded.given_out, 0, 0
        crowded.expire()
        answers = await asyncio.gather(*(call() for _ in range(HUNDRED)))
        assert answers == [(200, {"user": "Ada"})] * HUNDRED
        # All hundred left with the same expired token, and each refreshed for itself.
        given_out = crowded.given_out[len(before) :]
        assert pairs + already_rotated == HUNDRED
        assert len(given_out) in {1, WORKERS}
        assert await call() == (200, {"user": "Ada"})
        crowded.has_moved_on(expiries, given_out)
    crowded.has_no_complaints()
