"""Browsers that tests use one after the other: to start one takes longer than most tests.

Who gets one finds nothing of those before: no page, cookie, cache, storage or word on the console.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver
from urllib3.exceptions import HTTPError

from tests.browser.firefox import Firefox
from tests.patience import PATIENCE

FORGET = """
const done = arguments[arguments.length - 1];
Services.clearData.deleteData(Ci.nsIClearDataService.CLEAR_ALL, {onDataDeleted: () => done()});
"""
Browser = TypeVar("Browser", bound=WebDriver)


class Pool(Generic[Browser]):
    """Starts a browser where none is left.

    Args:
        start: Starts one with a new profile.
        forget: Takes all that it knows from it.
    """

    def __init__(self, start: Callable[[], Browser], forget: Callable[[Browser], None]) -> None:
        self._start = start
        self._forget = forget
        self._left: list[Browser] = []

    def take(self) -> Browser:
        browser = self._left.pop() if self._left else self._start()
        self._forget(browser)
        return browser

    def give_back(self, browser: Browser) -> None:
        try:
            _close_pages(browser)
        except (WebDriverException, HTTPError, OSError):  # it has crashed, or its driver has
            browser.quit()
        else:
            self._left.append(browser)

    def close(self) -> None:
        for browser in self._left:
            browser.quit()


def _close_pages(browser: WebDriver) -> None:
    """All but a new one, without a history."""
    old = browser.window_handles
    browser.switch_to.window(old[0])
    browser.switch_to.new_window("tab")
    new = browser.current_window_handle
    for handle in old:
        browser.switch_to.window(handle)
        browser.close()
    browser.switch_to.window(new)


def forget_in_chromium(browser: Chrome) -> None:
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    assert browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"] == []
    browser.get_log("browser")  # type: ignore[no-untyped-call]  # what has been read is not told again
    browser.set_script_timeout(PATIENCE)


def forget_in_firefox(browser: Firefox) -> None:
    browser.inside_later(FORGET)
    assert browser.get_cookies() == []
