"""What browsers themselves do with pages that were shown: our rules rest on it (docs/browsers.md).

A browser that behaves otherwise fails here: then a rule may be done without, or another one is needed.
"""

from collections.abc import Callable

from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.private_site import PrivateSite, Visitor

OpenSite = Callable[..., PrivateSite]


def goes_back_after_a_logout(browser: WebDriver, site: PrivateSite, dropping: str = "") -> bool:
    """Whether the browser asks the server anew, rather than show what it has."""
    visitor = Visitor(browser, site)
    visitor.logs_in()
    visitor.opens("/private")
    visitor.sees("Private of alice")
    visitor.opens("/public")
    visitor.logs_out()
    if dropping:
        assert visitor.asks(f"/answer?clear-site-data={dropping}")[0] == 200
    before = site.times_asked("/private")
    visitor.goes_back()
    visitor.is_at("/private")
    visitor.sees("")
    asks = site.times_asked("/private") > before
    visitor.sees("Signed out" if asks else "Private of alice")
    return asks


def test_back_shows_a_page_as_it_was_that_may_be_stored(unused_browser: WebDriver, open_site: OpenSite) -> None:
    for cache_control in ("off", "private, no-cache"):
        site = open_site(cache_control=cache_control, clear_site_data="off", table_prefix=f"t{len(cache_control)}_")
        assert not goes_back_after_a_logout(unused_browser, site)


def test_back_asks_anew_for_a_page_that_may_not(unused_browser: WebDriver, open_site: OpenSite) -> None:
    assert goes_back_after_a_logout(unused_browser, open_site(clear_site_data="off"))


def test_back_asks_anew_where_the_http_cache_was_dropped(unused_browser: WebDriver, open_site: OpenSite) -> None:
    """Of the pages that it is about: a browser under a test's control keeps few of them alive besides."""
    site = open_site(cache_control="off", clear_site_data="off")
    assert goes_back_after_a_logout(unused_browser, site, dropping="%22cache%22")
