"""Chromium without a window, by Selenium: each browser a new profile, all of them one running example."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

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


@pytest.fixture
def new_browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chrome]]:
    """Opens browsers, each with a profile of its own."""
    browsers: list[Chrome] = []

    def start(*flags: str, preferences: Mapping[str, object] | None = None) -> Chrome:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, *flags, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", dict(preferences or {}))
        browsers.append(Chrome(options=options, service=ChromeService(find_program("chromedriver"))))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.quit()
