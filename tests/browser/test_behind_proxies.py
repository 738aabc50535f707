"""Behind nginx and HAProxy with TLS and HTTP/2, in each engine; also below a path and with the scheme hidden."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.http_proxies import PROXIES, HTTPProxy
from tests.browser.person import PASSWORD, Person, new_name
from tests.browser.test_drop_in_pages import LONG
from tests.browser.test_live_sign_out import opening_a_socket
from tests.engines_used import require
from tests.example.running_site import IPHONE, Site, Visitor
from tests.uvicorn_server import SECRET, UvicornServer

CROWD = 30
PROTOCOL = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
ALL_AT_ONCE = """
const [count] = arguments, done = arguments[arguments.length - 1];
Promise.all(Array.from({length: count}, () => fetch("/api/me").then(answer => answer.status))).then(done);
"""
OpenProxy = Callable[..., HTTPProxy]


@pytest.fixture(params=PROXIES)
def open_proxy(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[OpenProxy]:
    """Puts a proxy, of each kind in turn, before an application."""
    require(request.param)
    with ExitStack() as stack:

        def start(app: UvicornServer, *, tells: bool = True, path: str = "") -> HTTPProxy:
            proxy = PROXIES[request.param](app.port, certificate, tells=tells, path=path)
            stack.callback(proxy.close)
            return proxy

        yield start


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its access tokens are short: each visit lasts longer."""
    with Site(tmp_path_factory.mktemp("example"), ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME="2s") as site:
        yield site


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UvicornServer]:
    folder, settings = tmp_path_factory.mktemp("pages"), {**LONG, "ASGI_SESSIONS_SECRET_KEY": SECRET}
    with UvicornServer("tests.browser.pages_app:app", folder, settings) as server:
        yield server


def test_a_visit_with_http_2_a_socket_and_a_crowd(open_proxy: OpenProxy, example: Site, any_browser: WebDriver) -> None:
    proxy, name = open_proxy(example), new_name()
    person, phone = Person(cast("Chrome", any_browser), proxy.url), Visitor(example, IPHONE)
    with opening_a_socket(example):
        person.sign_up(name)
    assert person.browser.execute_script(PROTOCOL) == "h2"
    assert person.browser.execute_async_script(ALL_AT_ONCE, CROWD) == [200] * CROWD
    assert phone.sign_in(name, PASSWORD).status_code == 303
    assert phone.submit("/devices/log-out-others").status_code == 303
    person.is_at("/sign-in")  # by itself
    person.sees("Your session has ended.")
    assert person.browser.get_cookies() == []
    phone.close()


def test_below_a_path_and_with_the_scheme_hidden_the_pages_are_as_alive(
    open_proxy: OpenProxy, pages: UvicornServer, any_browser: WebDriver
) -> None:
    proxy = open_proxy(pages, tells=False, path="/shop")
    user = f"ada-{uuid.uuid4().hex[:8]}"
    person = Person(cast("Chrome", any_browser), proxy.url)
    person.visit(f"/begin?user={user}&seeded=1")
    person.is_at("/account/devices")
    assert {cookie["secure"] for cookie in person.browser.get_cookies()} == {True}
    assert len(person.devices) == 8
    person.logs_out("Log out all")
    person.sees("Logged out: 3 sign-ins have ended.")
    person.logs_out()
    person.sees("Logged out: 6 sign-ins have ended.")
    assert len(person.devices) == 1
    person.logs_out("Log out", of="This device")
    person.until(lambda: person.browser.get_cookies() == [])
