"""Chromium without a window, by Selenium: each browser as if new, all of them one running example."""

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.browser.pool import Pool
from tests.example.running_site import Site
from tools.engines import find_program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example on SQLite."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def browsers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    def start() -> Chrome:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
            options.add_argument(flag)
        return Chrome(options=options, service=ChromeService(find_program("chromedriver")))

    pool = Pool(start)
    yield pool
    pool.close()


@pytest.fixture
def new_browser(browsers: Pool) -> Iterator[Callable[[], Chrome]]:
    """Opens browsers, each as if with a profile of its own."""
    taken: list[Chrome] = []

    def take() -> Chrome:
        taken.append(browsers.take())
        return taken[-1]

    yield take
    for browser in taken:
        browsers.give_back(browser)
