"""A device that is logged out from another one shows it by itself."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.looks import SHOTS
from tests.browser.person import Person, new_name
from tests.example.running_site import Site
from tests.patience import PATIENCE

NewBrowser = Callable[..., Chrome]


def sockets_opened(site: Site) -> int:
    """How many sockets the server has accepted so far."""
    return len(re.findall(r'"WebSocket /api/live\?form_tag=[\w-]{16}" \[accepted\]', site.log))


@contextmanager
def opening_a_socket(site: Site, count: int = 1) -> Iterator[None]:
    """What happens inside leads to a page of somebody signed in: wait until the page has its socket."""
    before = sockets_opened(site)
    yield
    deadline = time.monotonic() + PATIENCE
    while sockets_opened(site) < before + count:
        assert time.monotonic() < deadline, "the page opens no socket"
        time.sleep(0.05)


def address_within(person: Person, seconds: float) -> str:
    """Where the browser is after so long, without anybody having touched it."""
    time.sleep(seconds)
    return str(person.browser.current_url)


def two_devices(site: Site, new_browser: NewBrowser) -> tuple[Person, Person]:
    name, address = new_name(), site.url("localhost")
    laptop, phone = Person(new_browser(), address), Person(new_browser(), address)
    with opening_a_socket(site):
        laptop.sign_up(name)
    phone.visit("/")
    with opening_a_socket(site):
        phone.sign_in(name)
        phone.sees_heading(f"Hello {name}")
    laptop.visit("/devices")
    return laptop, phone


def test_a_device_logged_out_from_another_one_shows_it_without_a_touch(site: Site, new_browser: NewBrowser) -> None:
    laptop, phone = two_devices(site, new_browser)
    laptop.logs_out("Log out Headless")
    laptop.sees("Logged out: 1 sign-in has ended.")
    phone.is_at("/sign-in")
    phone.sees("Your session has ended. Please sign in again.")
    assert phone.browser.get_cookies() == []
    assert phone.complaints() == []
    for scheme in ("light", "dark") if SHOTS else ():
        phone.resize(390, 844)
        phone.prefers(scheme)
        Path(SHOTS).mkdir(exist_ok=True)
        phone.browser.save_screenshot(str(Path(SHOTS) / f"signed-out-live-phone-{scheme}.png"))

    # The device that did it, and an innocent tab, stay as they are.
    assert address_within(laptop, 2) == f"{site.url('localhost')}/devices#notice"
    assert laptop.complaints() == []


def test_every_tab_of_the_device_shows_it(site: Site, new_browser: NewBrowser) -> None:
    laptop, phone = two_devices(site, new_browser)
    first = phone.browser.current_window_handle
    phone.browser.switch_to.new_window("tab")
    with opening_a_socket(site):
        phone.visit("/confirm")
    laptop.logs_out()
    laptop.sees("Logged out: 1 sign-in has ended.")
    for tab in (phone.browser.current_window_handle, first):
        phone.browser.switch_to.window(tab)
        phone.sees_heading("Sign in")


def test_logging_out_here_is_answered_as_ever_and_ends_the_other_tab(site: Site, new_browser: NewBrowser) -> None:
    person = Person(new_browser(), site.url("localhost"))
    with opening_a_socket(site):
        person.sign_up(new_name())
    first = person.browser.current_window_handle
    person.browser.switch_to.new_window("tab")
    with opening_a_socket(site):
        person.visit("/confirm")
    slow = {"offline": False, "latency": 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    person.browser.execute_cdp_cmd("Network.enable", {})
    person.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)  # the socket is faster than the answer
    person.press("Log out here", within="header")
    person.is_at("/sign-in")
    person.sees("You are logged out on this device.")
    person.browser.switch_to.window(first)
    person.sees_heading("Sign in")
    assert person.browser.get_cookies() == []


def test_a_page_survives_a_restart_of_the_server_and_hears_of_the_end_afterwards(
    tmp_path: Path, new_browser: NewBrowser
) -> None:
    with Site(tmp_path) as site:
        laptop, phone = two_devices(site, new_browser)
        port = site.port
    with Site(tmp_path, port) as site:
        with opening_a_socket(site):
            pass  # the page comes back by itself
        laptop.visit("/devices")
        laptop.logs_out()
        laptop.sees("Logged out: 1 sign-in has ended.")
        phone.sees_heading("Sign in")
