import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.person import Person, new_name
from tests.example.running_site import Site

NewBrowser = Callable[..., Chrome]
CHROMIUM = "Headless Chrome on Linux"


def test_one_device_logs_the_other_out(site: Site, new_browser: NewBrowser) -> None:
    name, address = new_name(), site.url("localhost")
    laptop, phone = Person(new_browser(), address), Person(new_browser(), address)
    laptop.sign_up(name)
    phone.visit("/devices")
    phone.is_at("/sign-in?next=%2Fdevices")
    phone.sign_in(name)
    phone.is_at("/devices")
    assert phone.devices == [CHROMIUM, CHROMIUM]

    laptop.visit("/devices")
    assert laptop.devices == [CHROMIUM, CHROMIUM]
    laptop.logs_out("Log out Headless")
    laptop.sees("Logged out: 1 sign-in has ended.")
    assert laptop.devices == [CHROMIUM]

    phone.is_at("/sign-in?next=%2Fdevices")  # by itself
    phone.sees("Your session has ended.")
    assert phone.browser.get_cookies() == []
    phone.sign_in(name)
    phone.is_at("/devices")


def test_logging_out_everywhere_else_keeps_this_device(site: Site, new_browser: NewBrowser) -> None:
    name, address = new_name(), site.url("127.0.0.1")
    laptop, phone = Person(new_browser(), address), Person(new_browser(), address)
    laptop.sign_up(name)
    phone.visit("/sign-in")
    phone.sign_in(name)
    phone.sees_heading(f"Hello {name}")
    phone.visit("/devices")
    phone.logs_out()
    phone.sees("Logged out: 1 sign-in has ended.")
    laptop.visit("/")
    laptop.sees_heading("Sign in")


def test_logging_out_here_leaves_no_cookie_and_nothing_behind_the_back_button(
    site: Site, new_browser: NewBrowser
) -> None:
    person = Person(new_browser(), site.url("localhost"))
    name = new_name()
    person.sign_up(name)
    # Chromium 156 does restore the very page whose navigation set the cookies, though it says no-store.
    person.visit("/devices")
    names = {cookie["name"] for cookie in person.browser.get_cookies()}
    assert names == {"__Host-sAccessToken", "__Host-sRefreshToken"}
    person.logs_out("Log out", of="This device")
    person.sees("You are signed out")
    assert person.browser.get_cookies() == []
    person.browser.back()
    person.is_at("/sign-in?next=%2Fdevices")
    assert name not in person.browser.find_element(By.TAG_NAME, "body").text


@pytest.fixture
def other_origin() -> Iterator[str]:
    """A page on another port. Browsers send it the same cookies, and its forms too."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Another</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_form_of_another_origin_is_refused_though_its_cookies_come_along(
    site: Site, new_browser: NewBrowser, other_origin: str
) -> None:
    person = Person(new_browser(), site.url("localhost"))
    person.sign_up(new_name())
    person.browser.get(other_origin)
    person.browser.execute_script(
        "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0];"
        "document.body.append(form); form.submit()",
        f"{site.url('localhost')}/log-out",
    )
    person.sees_heading("Forbidden")
    person.visit("/")
    person.sees_heading("Hello")
