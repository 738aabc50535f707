"""What browsers themselves keep of cookies: our rules rest on it (docs/browsers.md).

A browser that behaves otherwise fails here: then a rule may be done without, or another one is needed.
"""

import time
from collections.abc import Callable
from urllib.parse import quote

from selenium.webdriver import Chrome, WebKitGTK
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.private_site import PrivateSite, Visitor

OpenSite = Callable[..., PrivateSite]
DAY = 86_400


def kept(visitor: Visitor) -> set[str]:
    """The names of the cookies that come to the server."""
    return {piece.partition("=")[0].strip() for piece in visitor.asks("/echo")[1].split(";")} - {""}


def sets(visitor: Visitor, *cookies: str) -> None:
    """The server answers with these."""
    visitor.asks("/answer?" + "&".join(f"set-cookie={quote(cookie)}" for cookie in cookies))


def test_only_webkit_lets_a_script_plant_a_cookie_whose_prefix_keeps_scripts_out(
    any_browser: WebDriver, open_site: OpenSite
) -> None:
    visitor = Visitor(any_browser, open_site())
    visitor.opens("/public")
    names = {"__Host-a", "__Secure-a", "__Host-Http-a", "__Http-a"}
    for name in names:
        any_browser.execute_script("document.cookie = arguments[0]", f"{name}=1; Secure; Path=/")
    by_scripts = {"__Host-a", "__Secure-a"} | (names if isinstance(any_browser, WebKitGTK) else set())
    assert kept(visitor) == by_scripts
    sets(visitor, *(f"{name}=; Secure; Path=/; Max-Age=0" for name in names))
    # The server may, with HttpOnly; without, and where the rules of __Host- are broken, it is as above.
    sets(visitor, "__Host-Http-b=1; Secure; Path=/", "__Host-Http-c=1; Secure; HttpOnly; Path=/")
    sets(
        visitor, "__Host-Http-d=1; Secure; HttpOnly; Path=/; Domain=shop.localhost", "__Host-Http-e=1; HttpOnly; Path=/"
    )
    found = {name for name in kept(visitor) if name.startswith("__Host-Http-")} - {"__Host-Http-a"}
    unguarded = {f"__Host-Http-{letter}" for letter in "bde"}  # which WebKit does not guard at all
    assert found == {"__Host-Http-c"} | (unguarded if isinstance(any_browser, WebKitGTK) else set())


def test_only_webkitgtk_lets_a_server_break_the_rules_of_a_prefix(any_browser: WebDriver, open_site: OpenSite) -> None:
    """So there a sibling host can plant what looks like ours, as without a prefix."""
    visitor = Visitor(any_browser, open_site())
    visitor.opens("/public")
    sets(visitor, "__Host-a=1; Secure; Path=/", "__Host-b=1; Secure; Path=/; Domain=shop.localhost")
    sets(visitor, "__Host-c=1; Path=/", "__Secure-d=1; Path=/")
    broken = {"__Host-b", "__Host-c", "__Secure-d"}
    assert kept(visitor) == {"__Host-a"} | (broken if isinstance(any_browser, WebKitGTK) else set())


def test_only_webkit_refuses_secure_cookies_over_plain_http_on_this_machine(
    any_browser: WebDriver, open_site: OpenSite
) -> None:
    site = open_site(tls=False)
    visitor = Visitor(any_browser, site)
    any_browser.get(site.address("/public", host="localhost"))
    sets(visitor, "a=1; Secure; Path=/", "__Host-a=1; Secure; HttpOnly; Path=/", "b=1; Path=/")
    secure = set() if isinstance(any_browser, WebKitGTK) else {"a", "__Host-a"}
    assert kept(visitor) == {"b"} | secure


def test_how_large_and_how_old_a_cookie_may_be(any_browser: WebDriver, open_site: OpenSite) -> None:
    """The library makes none that is larger, and asks for no more than its timeouts."""
    visitor = Visitor(any_browser, open_site())
    visitor.opens("/public")
    name = "large"
    sets(visitor, f"{name}=" + "x" * (4096 - len(name)))
    assert kept(visitor) == {name}
    sets(visitor, f"{name}=; Max-Age=0", f"larger={'x' * (4097 - len('larger'))}")
    assert kept(visitor) == ({"larger"} if isinstance(any_browser, WebKitGTK) else set())
    sets(visitor, "larger=; Max-Age=0", f"old=1; Max-Age={500 * DAY}")
    (cookie,) = any_browser.get_cookies()
    days = (int(cookie["expiry"]) - time.time()) / DAY
    expected = 500 if isinstance(any_browser, WebKitGTK) else 400
    assert expected - 1 < days < expected + 1


def test_only_chromium_drops_a_cookie_that_its_own_answer_sets_where_cookies_are_to_be_dropped(
    any_browser: WebDriver, open_site: OpenSite
) -> None:
    """Why we never say "cookies"."""
    visitor = Visitor(any_browser, open_site())
    visitor.opens("/public")
    visitor.asks(f"/answer?clear-site-data={quote(chr(34) + 'cookies' + chr(34))}&set-cookie={quote('a=1; Path=/')}")
    if isinstance(any_browser, Chrome):
        assert kept(visitor) == set()
    else:
        assert kept(visitor) <= {"a"}
