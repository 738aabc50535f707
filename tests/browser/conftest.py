"""Chromium without a window, by Selenium: each browser a new profile, all of them one running example."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.example.running_site import Site

DRIVER = "/usr/bin/chromedriver"
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
def chromium() -> str:
    """The browser's path. Where it is not installed tests are skipped, but fail in CI."""
    found = shutil.which("chromium")
    if found is not None and Path(DRIVER).exists():
        return found
    reason = "chromium and chromium-driver are not installed: NOTHING IS TESTED IN A REAL BROWSER"
    if "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example on SQLite."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def new_browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chrome]]:
    """Opens browsers, each with a profile of its own."""
    browsers: list[Chrome] = []

    def start(*flags: str) -> Chrome:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, *flags, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
            options.add_argument(flag)
        browsers.append(Chrome(options=options, service=ChromeService(DRIVER)))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.quit()
