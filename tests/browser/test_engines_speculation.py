"""What browsers themselves do with pages that they fetch ahead: our rules rest on it (docs/browsers.md).

A browser that behaves otherwise fails here: then a rule may be done without, or another one is needed.
"""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.private_site import PrivateSite, Visitor

OpenSite = Callable[..., PrivateSite]
PREFETCH, PRERENDER = '"prefetchCache"', '"prerenderCache"'
SUPPORTS = "return HTMLScriptElement.supports !== undefined && HTMLScriptElement.supports('speculationrules')"
PURPOSES = {"prefetch": "prefetch", "prerender": "prefetch;prerender"}


def test_only_chromium_fetches_ahead_by_speculation_rules(any_browser: WebDriver, open_site: OpenSite) -> None:
    Visitor(any_browser, open_site()).opens("/public")
    assert any_browser.execute_script(SUPPORTS) == isinstance(any_browser, Chrome)


@pytest.mark.parametrize("how", PURPOSES)
def test_after_a_logout_chromium_shows_what_it_has_unless_it_is_told_to_drop_it(
    how: str, new_browser: Callable[..., Chrome], open_site: OpenSite
) -> None:
    site = open_site(cache_control="off", clear_site_data="off")
    visitor = Visitor(new_browser(), site)
    drops = {"": False, PRERENDER: False, f"{PREFETCH}, {PRERENDER}": True}
    for dropped, asks in drops.items():
        site.asked.clear()
        visitor.logs_in()
        visitor.opens(f"/ahead/{how}")
        ahead = visitor.finds(lambda: next((asked for asked in site.asked if asked.path == "/private"), None))
        assert (ahead.purpose, ahead.site, ahead.status) == (PURPOSES[how], "none", 200)
        visitor.logs_out()
        if dropped:
            visitor.asks(f"/answer?clear-site-data={quote(dropped)}")
        visitor.follows_the_link()
        visitor.is_at("/private")
        visitor.sees("Signed out" if asks else "Private of alice")


@pytest.mark.parametrize("how", PURPOSES)
def test_chromium_drops_an_answer_of_503_and_asks_again_at_the_click(
    how: str, new_browser: Callable[..., Chrome], open_site: OpenSite
) -> None:
    """The page needs new tokens: the click gets them."""
    site = open_site()
    visitor = Visitor(new_browser(), site)
    visitor.logs_in()
    site.clock.advance(301)
    visitor.opens(f"/ahead/{how}")
    visitor.waits_until(lambda: any(asked.path == "/private" for asked in site.asked))
    visitor.follows_the_link()
    visitor.is_at("/private")
    visitor.sees("Private of alice")
    ahead, *rest = [asked for asked in site.asked if asked.path == "/private"]
    assert (ahead.purpose, ahead.status) == (PURPOSES[how], 503)
    assert (rest[-1].purpose, rest[-1].status) == (None, 200)
