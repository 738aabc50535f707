"""Somebody in front of a browser: looks for what the page says, and waits for it."""

import uuid
from collections.abc import Callable

from selenium.common import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait

from tests.patience import PATIENCE

PASSWORD = "correct horse"


def new_name() -> str:
    return f"Ada {uuid.uuid4().hex[:12]}"


class Person:
    """Uses one browser.

    Attributes:
        browser: The driver.
    """

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser = browser
        self._address = address
        # A page that goes while it is looked at is told as one of several errors; the next look sees the next page.
        self._wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))

    def visit(self, path: str) -> None:
        self.browser.get(self._address + path)

    def sign_up(self, name: str) -> None:
        self.visit("/sign-up")
        self.fill_in(name)
        self.press("Sign up")
        self.sees_heading(f"Hello {name}")

    def sign_in(self, name: str) -> None:
        """From the form that is on the screen."""
        self.fill_in(name)
        self.press("Sign in")

    def press(self, text: str, within: str = "main") -> None:
        """Press the button whose text begins so."""
        self._one(f"//{within}//button[starts-with(normalize-space(), '{text}')]").click()

    def logs_out(self, what: str = "Log out everywhere else", of: str = "Other devices") -> None:
        """In a part of the list of devices: press the button whose text begins so, and confirm it in the dialog."""
        part = f"//section[.//h2[starts-with(normalize-space(), '{of}')]]"
        self._one(f"{part}//a[starts-with(normalize-space(), '{what}')]").click()
        self._one("//dialog//button[starts-with(normalize-space(), 'Log out')]").click()

    def sees_heading(self, text: str) -> None:
        self._wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "h1"), text))

    def sees(self, text: str) -> None:
        self._wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "main"), text))

    def sees_in(self, selector: str, text: str) -> WebElement:
        """Wait until such an element says so."""
        self._wait.until(condition.text_to_be_present_in_element((By.CSS_SELECTOR, selector), text))
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def follows(self, text: str, within: str = "main") -> None:
        """Click the link of this text, in the element that a CSS selector names."""
        found = f"{within} a"
        self._wait.until(condition.text_to_be_present_in_element((By.CSS_SELECTOR, found), text))
        self.browser.find_element(By.CSS_SELECTOR, found).click()

    def until(self, true: Callable[[], bool]) -> None:
        self._wait.until(lambda _: true())

    def is_in_field(self, name: str) -> WebElement:
        """Wait until what is typed goes into this field, which browsers see to once they show the page."""
        self._wait.until(lambda browser: browser.switch_to.active_element.get_attribute("id") == name)
        return self.browser.switch_to.active_element

    def is_at(self, path: str) -> None:
        self._wait.until(condition.url_to_be(self._address + path))

    @property
    def devices(self) -> list[str]:
        """The names in the list."""
        names = "#devices h3, .devices h2"
        return self._wait.until(
            lambda browser: [heading.text for heading in browser.find_elements(By.CSS_SELECTOR, names)]
        )

    def width_of_page(self) -> int:
        """Including what one would have to scroll to, in CSS pixels."""
        return int(self.browser.execute_script("return document.documentElement.scrollWidth"))

    def resize(self, width: int, height: int) -> None:
        """The page's area: a window cannot be as narrow as a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefers(self, scheme: str) -> None:
        """Light or dark."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def complaints(self) -> list[str]:
        """What the browser's console says is wrong: blocked or missing files."""
        entries = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def fill_in(self, name: str) -> None:
        for field, text in (("name", name), ("password", PASSWORD)):
            element = self._one(f"//input[@id='{field}']")
            element.clear()
            element.send_keys(text)

    def _one(self, xpath: str) -> WebElement:
        return self._wait.until(condition.element_to_be_clickable((By.XPATH, xpath)))
