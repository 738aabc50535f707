"""What each engine sends with requests of several kinds, and which cookies it keeps: rows of docs/browsers.md."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.firefox import Firefox
from tests.patience import PATIENCE
from tests.uvicorn_server import UvicornServer

HOST, OTHER = "shop.localhost", "evil.localhost"
SOCKET = """
const [path] = arguments, done = arguments[arguments.length - 1];
const socket = new WebSocket(`wss://${location.host}${path}`);
socket.onclose = () => done();
"""
FORM = '<form method=post action="{address}"></form><script>document.forms[0].submit()</script>'


class Visitor:
    """Somebody with a browser.

    Args:
        browser: Of any engine.
        port: The server's, by TLS.
    """

    def __init__(self, browser: WebDriver, port: int) -> None:
        self.browser = browser
        self._port = port

    def address(self, path: str, host: str = HOST) -> str:
        return f"https://{host}:{self._port}{path}"

    def opens(self, path: str, host: str = HOST) -> None:
        self.browser.get(self.address(path, host))

    def sent(self, path: str) -> dict[str, str]:
        """The headers of the last request for it, once there is one."""
        WebDriverWait(self.browser, PATIENCE).until(lambda _: path in self._seen())
        return self._seen()[path]

    def sends_origin(self, origin: str) -> None:
        """Wait for a form that says so."""
        WebDriverWait(self.browser, PATIENCE).until(lambda _: self.sent("/posted")["origin"] == origin)

    def cookies(self, host: str = HOST) -> set[str]:
        self.opens("/page", host)
        return {cookie["name"] for cookie in self.browser.get_cookies()}

    def _seen(self) -> dict[str, dict[str, str]]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(self.address("/seen", "127.0.0.1"), context=context, timeout=PATIENCE) as answer:
            return dict(json.load(answer))


@pytest.fixture
def visitor(any_browser: WebDriver, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Visitor]:
    file, key = map(str, certificate)
    options = ["--ssl-certfile", file, "--ssl-keyfile", key]
    with UvicornServer("tests.browser.engines_app:app", tmp_path, {}, options=options) as server:
        yield Visitor(any_browser, server.port)


def test_only_chromium_says_no_site_of_a_handshake_and_loses_the_cookies_of_a_refused_one(visitor: Visitor) -> None:
    is_chromium = isinstance(visitor.browser, Chrome)
    visitor.opens("/page")
    for path in ("/accepting", "/denying"):
        visitor.browser.execute_async_script(SOCKET, path)
        headers = visitor.sent(path)
        assert headers["origin"] == visitor.address("")
        assert headers.get("sec-fetch-site") == (None if is_chromium else "same-origin")
    assert visitor.cookies() == ({"accepted"} if is_chromium else {"accepted", "denied"})


def test_a_form_says_where_it_was_or_that_nobody_knows(visitor: Visitor) -> None:
    form = FORM.format(address=visitor.address("/posted"))
    framed = f"<iframe sandbox='allow-forms allow-scripts' srcdoc='{form}'></iframe>"
    for place, html, origin in (
        (visitor.address("/page", OTHER), form, visitor.address("", OTHER)),
        (visitor.address("/page", OTHER), framed, "null"),
        (f"data:text/html,{quote(form)}", None, "null"),
    ):
        visitor.browser.get(place)
        if html is not None:
            visitor.browser.execute_script("document.open(); document.write(arguments[0]); document.close()", html)
        visitor.sends_origin(origin)


def test_only_chromium_sends_a_strict_cookie_after_a_way_over_another_site(visitor: Visitor) -> None:
    visitor.opens("/cookie?strict=1;+Secure;+Path=/;+SameSite=Strict")
    visitor.opens("/page")
    back = visitor.address("/strict")
    away = visitor.address(f"/redirect?{back}", OTHER)
    visitor.browser.execute_script("location.assign(arguments[0])", away)
    assert ("strict=1" in visitor.sent("/strict").get("cookie", "")) == isinstance(visitor.browser, Chrome)


def test_how_far_clear_site_data_of_cookies_reaches(visitor: Visitor) -> None:
    here, sibling = "a.shop.localhost", "b.shop.localhost"
    visitor.opens("/cookie?domain=1;+Secure;+Path=/;+Domain=shop.localhost", here)
    visitor.opens("/cookie?host=1;+Secure;+Path=/", here)
    visitor.opens("/cookie?sibling=1;+Secure;+Path=/", sibling)
    assert visitor.cookies(here) == {"domain", "host"}
    visitor.opens("/clear", here)
    if isinstance(visitor.browser, Chrome):
        assert (visitor.cookies(here), visitor.cookies(sibling)) == (set(), set())
    elif isinstance(visitor.browser, Firefox):
        assert (visitor.cookies(here), visitor.cookies(sibling)) == ({"domain"}, {"domain", "sibling"})
    else:
        assert (visitor.cookies(here), visitor.cookies(sibling)) == (set(), {"sibling"})
