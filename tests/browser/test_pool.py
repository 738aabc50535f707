"""A browser that is used again knows nothing of what it was used for before."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.browser.firefox import Firefox
from tests.browser.pool import Pool

PAGE = b"<!doctype html><title>A page</title><script src=script></script><script>console.error('a word')</script>"


@pytest.fixture
def asked() -> Iterator[Counter[str]]:
    """How often a server was asked for each path; its address is the key of the zeros."""
    counts: Counter[str] = Counter()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counts[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
            self.send_header("Cache-Control", "max-age=3600")
            self.send_header("Set-Cookie", "a=1")
            self.end_headers()
            self.wfile.write(PAGE if self.path == "/" else b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        counts[f"http://localhost:{server.server_port}/"] = 0
        yield counts
        server.shutdown()


def is_as_new(pool: Pool[Any], asked: Counter[str]) -> None:
    """Use a browser, give it back and use it again."""
    (address,) = asked
    browser = pool.take()
    browser.get(address)
    steps = browser.execute_script("return history.length")
    browser.execute_script("localStorage.a = 1")
    browser.switch_to.new_window("tab")
    browser.get(address)
    assert asked["/script"] == 1, "the second time it is in the cache"
    assert [cookie["name"] for cookie in browser.get_cookies()] == ["a"]
    pool.give_back(browser)

    again = pool.take()
    try:
        assert again is browser
        assert len(again.window_handles) == 1
        if isinstance(again, Chrome):
            assert again.get_log("browser") == []  # type: ignore[no-untyped-call]
            assert again.execute_cdp_cmd("Storage.getCookies", {})["cookies"] == []
        again.get(address)
        assert again.execute_script("return history.length") <= steps  # a first tab of Firefox counts its empty page
        assert again.execute_script("return localStorage.length") == 0
        assert asked["/script"] == 2
    finally:
        pool.give_back(again)


def test_a_browser_that_is_used_again_is_as_new(browsers: Pool[Chrome], asked: Counter[str]) -> None:
    is_as_new(browsers, asked)


def test_so_is_a_firefox(firefoxes: Pool[Firefox], asked: Counter[str]) -> None:
    is_as_new(firefoxes, asked)


def test_a_browser_that_has_gone_is_not_used_again(browsers: Pool[Chrome]) -> None:
    browser = browsers.take()
    browser.quit()
    browsers.give_back(browser)
    other = browsers.take()
    assert other is not browser
    browsers.give_back(other)
