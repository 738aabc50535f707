"""*Your devices* in three engines: for everybody's use, on every screen, alive, and without scripts."""

import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context

import pytest
from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import axe as axe_core
from tests.patience import PATIENCE
from tests.uvicorn_server import SECRET, UvicornServer

LONG = {"ASGI_SESSIONS_IDLE_TIMEOUT": "2000d", "ASGI_SESSIONS_ABSOLUTE_TIMEOUT": "2000d"}
WIDTHS = (320, 390, 768, 1280)
OVERFLOWING = """
const width = document.documentElement.clientWidth, wide = [];
for (const each of document.querySelectorAll("body *")) {
  const box = each.getBoundingClientRect();
  if (box.width > 1 && (box.right > width + 0.5 || box.left < -0.5)) wide.push(each.outerHTML.slice(0, 120));
}
return [document.documentElement.scrollWidth - width, wide];
"""
NO_SCRIPT = {"profile.managed_default_content_settings.javascript": 2}


@pytest.fixture(scope="module")
def server(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[UvicornServer]:
    """Over TLS, since WebKit takes no Secure cookie from a host without it."""
    file, key = map(str, certificate)
    folder, settings = tmp_path_factory.mktemp("pages"), {**LONG, "ASGI_SESSIONS_SECRET_KEY": SECRET}
    options = ["--ssl-certfile", file, "--ssl-keyfile", key]
    with UvicornServer("tests.browser.pages_app:app", folder, settings, options=options) as server:
        yield server


class Visitor:
    """Somebody with devices, before the list of them.

    Attributes:
        browser: Of any engine.
        user: A new one.
    """

    def __init__(self, browser: WebDriver, server: UvicornServer, *, name: str = "ada", seeded: bool = True) -> None:
        self.browser = browser
        self.user = f"{name}-{uuid.uuid4().hex[:8]}"
        self._wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))
        self._address = f"https://localhost:{server.port}"
        self.browser.get(f"{self._address}/begin?user={self.user}{'&seeded=1' if seeded else ''}")
        self.sees("Your devices", "h1")

    def visit(self, path: str = "/account/devices") -> None:
        self.browser.get(self._address + path)

    def sees(self, text: str, where: str = "main") -> None:
        self._wait.until(lambda browser: text in browser.find_element(By.CSS_SELECTOR, where).text)

    def until(self, true: Callable[[], bool]) -> None:
        self._wait.until(lambda _: true())

    def one(self, selector: str) -> WebElement:
        return self._wait.until(lambda browser: browser.find_element(By.CSS_SELECTOR, selector))

    @property
    def devices(self) -> list[str]:
        return self._wait.until(
            lambda browser: [heading.text for heading in browser.find_elements(By.CSS_SELECTOR, "#devices h3")]
        )

    @property
    def focused(self) -> str:
        return str(self.browser.switch_to.active_element.get_attribute("id"))

    def is_at(self, path: str) -> None:
        self._wait.until(lambda browser: browser.current_url == self._address + path)

    def elsewhere(self, path: str) -> str:
        """What another device's request does, or is told."""
        context: SSLContext = create_default_context()
        context.check_hostname, context.verify_mode = False, CERT_NONE
        with urllib.request.urlopen(self._address + path, context=context, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def handle(self, label: str) -> str:
        lines = self.elsewhere(f"/handles?user={self.user}").splitlines()
        return next(handle for handle, _, named in (line.partition(" ") for line in lines) if named == label)

    def fits(self, where: str) -> None:
        beyond, wide = self.browser.execute_script(OVERFLOWING)
        assert beyond <= 0, (where, wide)
        assert wide == [], where


@pytest.fixture
def visitor(any_browser: WebDriver, server: UvicornServer) -> Visitor:
    return Visitor(any_browser, server)


@pytest.fixture
def in_chromium(new_browser: Callable[..., Chrome], server: UvicornServer) -> Visitor:
    return Visitor(new_browser(), server)


def test_nothing_keeps_anybody_from_using_the_pages(visitor: Visitor, axe: str) -> None:
    browser = visitor.browser
    assert axe_core.complaints(browser, axe) == []
    visitor.one(".sign-ins summary").click()
    assert axe_core.complaints(browser, axe) == []
    visitor.one("#log-out-others").click()
    visitor.one("dialog[open]")
    assert axe_core.complaints(browser, axe) == []
    handle = visitor.handle("Safari 26 on macOS")
    for path in (
        "/account/devices",
        f"/account/devices/log-out?session={handle}",
        "/account/devices/log-out-others",
        f"/account/devices/rename?session={handle}",
        "/account/devices?after=x",
    ):
        visitor.visit(path)
        visitor.one("h1")
        assert axe_core.complaints(browser, axe) == [], path


def test_the_page_of_one_device_with_news_is_for_everybody_too(
    any_browser: WebDriver, server: UvicornServer, axe: str
) -> None:
    visitor = Visitor(any_browser, server, name="warned", seeded=False)
    visitor.sees("You are signed in on this device only.")
    assert axe_core.complaints(any_browser, axe) == []


def test_contrast_holds_by_night_and_in_either_direction(in_chromium: Visitor, axe: str) -> None:
    browser = in_chromium.browser
    assert isinstance(browser, Chrome)
    for language in ("en", "de", "ar"):
        browser.add_cookie({"name": "language", "value": language})
        for scheme in ("light", "dark"):
            media = [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
            for path in ("", "/log-out?session=gone", "/log-out-others"):
                in_chromium.visit(f"/account/devices{path}")
                assert axe_core.complaints(browser, axe) == [], (language, scheme, path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_every_screen(in_chromium: Visitor, scheme: str) -> None:
    browser = in_chromium.browser
    assert isinstance(browser, Chrome)
    handle = in_chromium.handle("Safari 26 on macOS")
    long = "An unusually long name without any sense, " + "x" * 18
    in_chromium.visit(f"/account/devices/rename?session={handle}")
    in_chromium.one("#name").send_keys(long)
    in_chromium.one(".button-primary").click()
    in_chromium.sees(long)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for language in ("en", "de", "ar"):
        browser.add_cookie({"name": "language", "value": language})
        for path in ("", f"/rename?session={handle}", f"/log-out?session={handle}", "/log-out-others", "?after=x"):
            in_chromium.visit(f"/account/devices{path}")
            for width in WIDTHS:
                metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
                if not path:
                    browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
                in_chromium.fits(f"{language} {path} {width}")
    console = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [
        entry["message"] for entry in console if "favicon" not in entry["message"] and " 400 " not in entry["message"]
    ] == []


def test_nine_devices_are_few_screens_of_a_phone(in_chromium: Visitor) -> None:
    browser = in_chromium.browser
    assert isinstance(browser, Chrome)
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    in_chromium.visit()
    assert len(in_chromium.devices) == 8
    assert browser.execute_script("return document.documentElement.scrollHeight") < 1500


def test_a_device_that_is_logged_out_elsewhere_disappears_by_itself(visitor: Visitor) -> None:
    handle = visitor.handle("Safari 26 on macOS")
    visitor.browser.execute_script("window.here = true; document.querySelector('.sign-ins').open = true")
    visitor.browser.execute_script("document.getElementById(arguments[0]).focus()", f"log-out-{handle}")
    assert "Safari on macOS" in visitor.devices
    visitor.elsewhere(f"/end-one?handle={handle}")
    visitor.until(lambda: "Safari on macOS" not in visitor.devices)
    assert visitor.browser.execute_script("return window.here && document.querySelector('.sign-ins').open") is True
    visitor.until(lambda: visitor.focused == "others")  # its button has gone
    visitor.until(lambda: "has changed" in str(visitor.one("#live").get_attribute("textContent")))
    visitor.elsewhere(f"/end?user={visitor.user}")
    visitor.is_at("/sign-in?next=/account/devices")


def test_a_question_is_a_dialog_that_gives_the_focus_back(visitor: Visitor) -> None:
    handle = visitor.handle("Safari 26 on macOS")
    link = f"log-out-{handle}"
    visitor.browser.execute_script("document.getElementById(arguments[0]).focus()", link)
    visitor.browser.switch_to.active_element.send_keys(Keys.ENTER)
    visitor.sees("Log out Safari on macOS?", "dialog[open]")
    visitor.until(lambda: visitor.browser.switch_to.active_element.text == "Cancel")
    visitor.browser.switch_to.active_element.send_keys(Keys.ENTER)
    visitor.until(lambda: visitor.browser.find_elements(By.TAG_NAME, "dialog") == [])
    assert visitor.focused == link
    visitor.one(f"#{link}").click()
    visitor.one("dialog[open] .button-danger").click()
    visitor.sees("Logged out: 1 sign-in has ended.", "#notice")
    visitor.until(lambda: visitor.focused == "notice")
    assert "Safari on macOS" not in visitor.devices


def test_a_device_gets_a_name_in_a_dialog(visitor: Visitor) -> None:
    handle = visitor.handle("Safari 26 on macOS")
    visitor.one(f"#rename-{handle}").click()
    visitor.one("dialog[open]")
    visitor.until(lambda: visitor.focused == "name")
    visitor.one("#name").send_keys("Desk <b>")
    visitor.one("dialog[open] .button-primary").click()
    visitor.sees("The name is saved.", "#notice")
    assert "Desk <b>" in visitor.devices


def test_an_old_login_is_asked_to_be_confirmed(visitor: Visitor) -> None:
    visitor.visit("/recent/account/devices")
    visitor.one("#log-out-others").click()
    visitor.one("dialog[open] .button-danger").click()
    visitor.sees("Please confirm that it is you")
    confirm = visitor.one(".button-primary").get_attribute("href")
    assert str(confirm).endswith("/confirm?next=/recent/account/devices")


def test_without_scripts_everything_works(new_browser: Callable[..., Chrome], server: UvicornServer) -> None:
    visitor = Visitor(new_browser(preferences=NO_SCRIPT), server)
    handle = visitor.handle("Safari 26 on macOS")
    visitor.one(f"#rename-{handle}").click()
    visitor.is_at(f"/account/devices/rename?session={handle}")
    visitor.one("#name").send_keys("Desk")
    visitor.one(".button-primary").click()
    visitor.sees("The name is saved.")
    visitor.one(f"#log-out-{handle}").click()
    visitor.sees("Log out Desk?", "h1")
    visitor.one(".button-danger").click()
    visitor.sees("Logged out: 1 sign-in has ended.")
    visitor.one("#log-out-others").click()
    visitor.sees("8 other sign-ins will end.")
    visitor.one(".button-danger").click()
    visitor.sees("Logged out: 8 sign-ins have ended.")
    visitor.sees("You are signed in on this device only.")


def test_the_keyboard_reaches_everything_in_order(in_chromium: Visitor) -> None:
    browser = in_chromium.browser
    browser.execute_script("document.activeElement.blur()")
    seen: list[str] = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        seen.append(str(focused.get_attribute("class") or focused.get_attribute("id") or focused.tag_name))
        outline = focused.value_of_css_property("outline-style")
        assert outline == "solid" or focused.tag_name == "body", seen[-1]
    assert seen[0] == "skip"
    assert {"rename", "button", "button button-outlined-danger"} <= set(seen)
