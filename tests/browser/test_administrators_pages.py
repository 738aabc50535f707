"""The administrators' pages in three engines, without any script: for everybody's use, on every screen."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser import axe as axe_core
from tests.browser.test_drop_in_pages import NO_SCRIPT, WIDTHS, Visitor, server
from tests.uvicorn_server import UvicornServer

__all__ = ["server"]


class Administrator(Visitor):
    """Somebody who may see the sessions of others, among them those of a user with devices.

    Attributes:
        ada: That user, with nine devices.
        root: The administrator.
    """

    def __init__(self, browser: WebDriver, server: UvicornServer) -> None:
        super().__init__(browser, server)
        self.ada = self.user
        self.root = f"root-{self.user}"
        self.visit(f"/begin?user={self.root}&admin=1")
        self.sees("You are signed in on this device only.")

    def finds(self, user: str) -> None:
        """Fill in the form."""
        self.visit("/admin/sessions")
        self.one("#user").send_keys(user)
        self.one("#by-user + form button").click()
        self.sees(f"Sessions of user {user}", "h1")

    @property
    def count(self) -> int:
        return len(self.browser.find_elements(By.CSS_SELECTOR, "input.choose"))

    def chooses(self, label: str) -> None:
        """Tick a session by its name."""
        found = self.browser.find_elements(By.CSS_SELECTOR, "h3 label")
        next(each for each in found if each.text == label).click()

    def paths(self) -> list[str]:
        """Each page, also one that refuses."""
        user = f"user={quote(self.ada)}&type=str"
        one = self.handle("Safari 26 on macOS")
        return [
            "",
            "/found?user=x&type=int",
            f"/found?{user}",
            f"/found?user={quote(self.root)}&type=str",
            f"/found?name=org&value=org%20of%20{quote(self.root)}",
            f"/end?{user}&session={one}",
            f"/end-all?{user}",
            "/worker",
            "/found",
        ]


@pytest.fixture
def administrator(any_browser: WebDriver, server: UvicornServer) -> Administrator:
    return Administrator(any_browser, server)


def test_sessions_are_found_and_ended(administrator: Administrator) -> None:
    administrator.finds(administrator.ada)
    assert administrator.count == 9
    administrator.chooses("Safari 26 on macOS")
    administrator.chooses("curl 8")
    administrator.one("form button").click()
    administrator.sees("End 2 sessions?", "h1")
    administrator.one(".button-danger").click()
    administrator.sees("2 sessions have ended.", "#notice")
    assert administrator.count == 7
    administrator.one("#end-all").click()
    administrator.sees("7 sessions will end.")
    administrator.one(".button-danger").click()
    administrator.sees("There is no live session.")
    administrator.finds(administrator.root)
    administrator.sees("Your own session")
    administrator.one("input.choose").click()
    administrator.one("form button").click()
    administrator.sees("End your own session?", "h1")
    administrator.one(".button-danger").click()
    administrator.is_at("/sign-in?next=/admin/sessions")


def test_nothing_keeps_anybody_from_using_the_pages(administrator: Administrator, axe: str) -> None:
    for path in administrator.paths():
        administrator.visit(f"/admin/sessions{path}")
        administrator.one("h1")
        assert axe_core.complaints(administrator.browser, axe) == [], path


def test_contrast_and_width_hold_on_every_screen(
    new_browser: Callable[..., Chrome], server: UvicornServer, axe: str
) -> None:
    browser = new_browser()
    administrator = Administrator(browser, server)
    for language, scheme in (("en", "dark"), ("de", "light")):
        browser.add_cookie({"name": "language", "value": language})
        media = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        for path in administrator.paths():
            administrator.visit(f"/admin/sessions{path}")
            assert axe_core.complaints(browser, axe) == [], (language, path)
            for width in WIDTHS:
                metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
                administrator.fits(f"{language} {path} {width}")
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_script_is_needed(new_browser: Callable[..., Chrome], server: UvicornServer) -> None:
    administrator = Administrator(new_browser(preferences=NO_SCRIPT), server)
    administrator.finds(administrator.ada)
    administrator.chooses("curl 8")
    administrator.one("form button").click()
    administrator.one(".button-danger").click()
    administrator.sees("1 session has ended.", "#notice")
