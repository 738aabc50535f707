"""Browsers that nobody sees, each as if with a new profile; all of them are Selenium's."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser import axe as axe_core
from tests.browser import webkitgtk as webkit
from tests.browser.chromium import start as start_chromium
from tests.browser.firefox import Firefox
from tests.browser.firefox import start as start_firefox
from tests.browser.pool import Pool, forget_in_chromium, forget_in_firefox
from tests.browser.private_site import PrivateSite
from tests.certificates import make_certificate
from tests.engines_used import leave_out, require
from tests.example.running_site import Site
from tests.patience import PATIENCE

BROWSERS = ("chromium", "firefox", "webkitgtk")
POOLS = {"chromium": "browsers", "firefox": "firefoxes"}
"""A browser of the third kind starts as fast as another one forgets."""


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example on SQLite."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def firefox() -> None:
    require("firefox")


@pytest.fixture(scope="session")
def webkitgtk() -> Iterator[str]:
    """The screen for it."""
    require("webkitgtk")
    with webkit.screen() as display:
        yield display


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file, and that of its key: for hosts of every name, since these browsers take any."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(scope="session")
def axe(npm: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that finds what keeps people from using a page."""
    cache = getattr(request.config, "cache", None)  # a plugin of pytest's, which can be left out
    folder = tmp_path_factory.mktemp("axe-core") if cache is None else cache.mkdir("axe-core")
    try:
        return axe_core.script(npm, folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        leave_out(f"axe-core cannot be fetched: {(error.stderr or b'').decode(errors='replace')[-300:]}")


@pytest.fixture
def open_site(certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Callable[..., PrivateSite]]:
    """Opens a site with a private page, by TLS unless it is told not to, with these settings."""
    with ExitStack() as stack:

        def start(*, tls: bool = True, **settings: Any) -> PrivateSite:
            site = PrivateSite(tmp_path, certificate if tls else None, settings)
            stack.callback(site.close)
            return site

        yield start


@pytest.fixture
def until_the_end() -> Iterator[Callable[[WebDriver], None]]:
    """Takes browsers that the test's end closes."""
    with ExitStack() as stack:

        def take(browser: WebDriver) -> None:
            stack.callback(browser.quit)
            browser.set_script_timeout(PATIENCE)

        yield take


@pytest.fixture(scope="session")
def browsers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool[Chrome]]:
    pool = Pool(lambda: start_chromium(tmp_path_factory.mktemp("profile")), forget_in_chromium)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def firefoxes(firefox: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool[Firefox]]:
    pool = Pool(lambda: start_firefox(tmp_path_factory.mktemp("profile")), forget_in_firefox)
    yield pool
    pool.close()


@pytest.fixture
def new_browser(
    browsers: Pool[Chrome], until_the_end: Callable[[WebDriver], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Chrome]]:
    """Opens Chromium, for tests that ask it what only Chromium tells; with flags or preferences always a new one."""
    taken: list[Chrome] = []

    def start(*flags: str, preferences: Mapping[str, object] | None = None) -> Chrome:
        if flags or preferences:
            browser = start_chromium(tmp_path_factory.mktemp("profile"), flags, preferences)
            until_the_end(browser)
            return browser
        taken.append(browsers.take())
        return taken[-1]

    yield start
    for browser in taken:
        browsers.give_back(browser)


@pytest.fixture
def open_browser(
    request: pytest.FixtureRequest,
    until_the_end: Callable[[WebDriver], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., WebDriver]:
    """Opens a browser of any engine, which a parameter of the test names; with preferences, or where a used one
    would not do, a new one."""

    def start(engine: str, preferences: Mapping[str, Any] | None = None, *, used: bool = True) -> WebDriver:
        needed = request.getfixturevalue(engine)
        if used and not preferences and engine in POOLS:
            pool: Pool[Any] = request.getfixturevalue(POOLS[engine])
            again: WebDriver = pool.take()
            request.addfinalizer(lambda: pool.give_back(again))
            again.set_script_timeout(PATIENCE)
            return again
        profile = tmp_path_factory.mktemp("profile")
        browser: WebDriver
        match engine:
            case "chromium":
                browser = start_chromium(profile, preferences=preferences)
            case "firefox":
                browser = start_firefox(profile, preferences)
            case _:
                browser = webkit.start(profile, needed)
        until_the_end(browser)
        return browser

    return start


@pytest.fixture(params=BROWSERS)
def any_browser(request: pytest.FixtureRequest, open_browser: Callable[..., WebDriver]) -> WebDriver:
    """One browser, of each engine in turn."""
    return open_browser(request.param)


@pytest.fixture(params=BROWSERS)
def unused_browser(request: pytest.FixtureRequest, open_browser: Callable[..., WebDriver]) -> WebDriver:
    """The same, never used before: for what a browser decides by what it has learnt, such as which pages it keeps."""
    return open_browser(request.param, used=False)
