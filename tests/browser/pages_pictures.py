"""The pictures of docs/pages.md: ``python -m tests.browser.pages_pictures`` takes them anew, in Chromium."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chromium import start
from tests.browser.test_drop_in_pages import LONG
from tests.pages.site import CHROME
from tests.patience import PATIENCE
from tests.uvicorn_server import PROJECT, UvicornServer

FOLDER = PROJECT / "docs" / "pictures" / "pages"
DESKTOP, PHONE = 1280, 390
UNFOLD = "document.querySelector('details').open = true"
HINTS = {"brands": [{"brand": "Google Chrome", "version": "142"}], "platform": "Windows", "platformVersion": "15.0.0"}


class Camera:
    def __init__(self, browser: Chrome, folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    def take(self, name: str, width: int, scheme: str = "light", *, height: int | None = None) -> None:
        """A picture of what the browser shows: all of it, or as much as is that high."""
        features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]
        media = [{"name": name, "value": value} for name, value in features]
        self._browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        self._resize(width, height or 600)
        self._resize(width, height or self._browser.execute_script("return document.body.scrollHeight"))
        self._browser.save_screenshot(str(self._folder / f"{name}.png"))

    def _resize(self, width: int, height: int) -> None:
        metrics: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self._browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        profile = Path(temporary)
        with UvicornServer("tests.browser.pages_app:app", profile, LONG) as server:
            browser = start(profile / "profile")
            try:
                metadata = HINTS | {"architecture": "x86", "mobile": False, "model": "", "fullVersion": "142"}
                agent = {"userAgent": CHROME, "userAgentMetadata": metadata}
                browser.execute_cdp_cmd("Emulation.setUserAgentOverride", agent)
                _visit(browser, f"http://localhost:{server.port}", Camera(browser, folder))
            finally:
                browser.quit()


def _visit(browser: Chrome, address: str, camera: Camera) -> None:
    browser.get(f"{address}/begin?user=ada&seeded=1&from=203.0.113.9")
    camera.take("devices-desktop", DESKTOP)
    camera.take("devices-phone", PHONE)
    browser.execute_script(UNFOLD)
    camera.take("devices-phone-dark", PHONE, "dark", height=1180)
    browser.get(f"{address}/account/devices")
    browser.find_element(By.ID, "log-out-others").click()
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    camera.take("log-out-others", PHONE, height=844)
    browser.get(f"{address}/begin?user=warned&from=203.0.113.9")
    camera.take("one-device", DESKTOP)
    browser.add_cookie({"name": "language", "value": "ar"})
    browser.get(f"{address}/begin?user=ada&from=203.0.113.9")
    camera.take("devices-phone-rtl", PHONE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
