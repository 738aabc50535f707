"""Beyond the limit of sessions: who signs in reads which device was logged out, and goes on from there."""

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.looks import looks_right
from tests.browser.person import Person, new_name
from tests.example.running_site import Site


def test_a_sign_in_beyond_the_limit_shows_the_device_that_it_has_logged_out(
    tmp_path: Path, new_browser: Callable[..., Chrome]
) -> None:
    name = new_name()
    with Site(tmp_path, ASGI_SESSIONS_MAX_SESSIONS_PER_USER="1") as site:
        laptop, phone = (Person(new_browser(), site.url("localhost")) for _ in range(2))
        laptop.sign_up(name)
        phone.visit("/devices")
        phone.sign_in(name)
        phone.sees_heading("Logged out elsewhere")
        (ended,) = phone.devices
        assert ended.startswith("Headless Chrome ")
        looks_right(phone, "logged-out-elsewhere")
        laptop.visit("/")
        laptop.sees_heading("Sign in")
        phone.browser.find_element(By.LINK_TEXT, "Continue").click()
        phone.is_at("/devices")
        assert phone.devices == ["Headless Chrome on Linux"]
