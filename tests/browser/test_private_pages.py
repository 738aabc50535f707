"""Nothing private after a logout: no way back in a browser shows what was there before it."""

from collections.abc import Callable

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.firefox import Firefox
from tests.browser.private_site import PrivateSite, Visitor

OpenSite = Callable[..., PrivateSite]
RESTORE_TAB = """
const {SessionStore} = ChromeUtils.importESModule("resource:///modules/sessionstore/SessionStore.sys.mjs");
const window = Services.wm.getMostRecentWindow("navigator:browser");
SessionStore.undoCloseTab(window, 0);
"""


def test_back_shows_nothing_of_before_the_logout(any_browser: WebDriver, open_site: OpenSite) -> None:
    visitor = Visitor(any_browser, open_site())
    visitor.logs_in()
    for path in ("/private", "/private/too"):
        visitor.opens(path)
        visitor.sees("Private of alice")
    visitor.opens("/auth/sessions")
    visitor.reads("device_label")
    visitor.opens("/public")
    visitor.logs_out()
    visitor.goes_back()
    visitor.is_at("/auth/sessions")
    visitor.reads("unauthorised")
    for path in ("/private/too", "/private"):
        visitor.goes_back()
        visitor.is_at(path)
        visitor.sees("Signed out")


def test_nor_where_another_tab_has_logged_out(any_browser: WebDriver, open_site: OpenSite) -> None:
    visitor = Visitor(any_browser, open_site())
    visitor.logs_in()
    visitor.opens("/private")
    visitor.sees("Private of alice")
    visitor.opens("/public")
    this = any_browser.current_window_handle
    any_browser.switch_to.new_window("tab")
    visitor.opens("/public")
    visitor.logs_out()
    any_browser.switch_to.window(this)
    visitor.goes_back()
    visitor.is_at("/private")
    visitor.sees("Signed out")


def test_nor_does_a_tab_that_is_opened_again(open_browser: Callable[..., WebDriver], open_site: OpenSite) -> None:
    browser = open_browser("firefox")
    assert isinstance(browser, Firefox)
    visitor = Visitor(browser, open_site())
    visitor.logs_in()
    this = browser.current_window_handle
    browser.switch_to.new_window("tab")
    visitor.opens("/private")
    visitor.sees("Private of alice")
    browser.close()
    browser.switch_to.window(this)
    visitor.logs_out()
    browser.inside(RESTORE_TAB)
    visitor.waits_until(lambda: len(browser.window_handles) > 1)
    browser.switch_to.window(browser.window_handles[-1])
    visitor.sees("Signed out")


@pytest.mark.parametrize("cache_control", ["no-store", "private, no-cache"])
@pytest.mark.parametrize("how", ["prefetch", "prerender"])
def test_nor_does_a_page_that_was_fetched_ahead(
    how: str, cache_control: str, new_browser: Callable[..., Chrome], open_site: OpenSite
) -> None:
    site = open_site(cache_control=cache_control)
    visitor = Visitor(new_browser(), site)
    visitor.logs_in()
    visitor.opens(f"/ahead/{how}")
    visitor.waits_until(lambda: any(asked.path == "/private" and asked.purpose for asked in site.asked))
    visitor.logs_out()
    visitor.follows_the_link()
    visitor.is_at("/private")
    visitor.sees("Signed out")
