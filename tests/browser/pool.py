"""Browsers that tests use one after the other: to start one takes longer than most tests.

Who gets one finds nothing of those before: no page, cookie, cache, storage or word on the console.
"""

from collections.abc import Callable

from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from urllib3.exceptions import HTTPError

from tests.patience import PATIENCE


class Pool:
    """Starts a browser where none is left.

    Args:
        start: Starts one with a new profile.
    """

    def __init__(self, start: Callable[[], Chrome]) -> None:
        self._start = start
        self._left: list[Chrome] = []

    def take(self) -> Chrome:
        browser = self._left.pop() if self._left else self._start()
        _forget(browser)
        return browser

    def give_back(self, browser: Chrome) -> None:
        try:
            _close_pages(browser)
        except (WebDriverException, HTTPError):  # it has crashed, or its driver has
            browser.quit()
        else:
            self._left.append(browser)

    def close(self) -> None:
        for browser in self._left:
            browser.quit()


def _close_pages(browser: Chrome) -> None:
    """All but a new one, without a history."""
    old = browser.window_handles
    browser.switch_to.window(old[0])
    browser.switch_to.new_window("tab")
    new = browser.current_window_handle
    for handle in old:
        browser.switch_to.window(handle)
        browser.close()
    browser.switch_to.window(new)


def _forget(browser: Chrome) -> None:
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    assert browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"] == []
    browser.get_log("browser")  # type: ignore[no-untyped-call]  # what has been read is not told again
    browser.set_script_timeout(PATIENCE)
