"""The picture of docs/federated-logout.md: ``python -m tests.browser.company_pictures`` takes it, in Chromium."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium.webdriver import Chrome

from tests.browser.chromium import start
from tests.browser.company_site import CompanySite, Employee, company_site
from tests.browser.pages_pictures import Camera
from tests.uvicorn_server import PROJECT
from tools import openid_provider

FOLDER = PROJECT / "docs" / "pictures" / "company"
CACHE = PROJECT / ".oidc-provider"
WIDTH = 720


def main(folder: Path) -> None:
    """Take it."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        with company_site(openid_provider.fetched(CACHE), place) as site:
            browser = start(place / "profile")
            try:
                _visit(browser, site, Camera(browser, folder))
            finally:
                browser.quit()


def _visit(browser: Chrome, site: CompanySite, camera: Camera) -> None:
    ada = Employee(browser, site)
    ada.visit("/sign-in")
    ada.sees("Sign in with your company")
    camera.take("sign-in", WIDTH)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
