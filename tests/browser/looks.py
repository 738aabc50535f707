"""How a page looks on a desktop and on small phones."""

import os
from pathlib import Path

from selenium.webdriver.common.by import By

from tests.browser.person import Person

SCREENS = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (360, 740)}
SHOTS = os.environ.get("EXAMPLE_SCREENSHOTS", "")
"""A folder for pictures of all pages."""


def looks_right(person: Person, page: str) -> None:
    """Check that nothing sticks out, nothing fails to load, and every control has a name."""
    for screen, (width, height) in SCREENS.items():
        person.resize(width, height)
        assert person.width_of_page() <= width, f"{page} is wider than {screen}"  # narrower by the bar of a long page
        for scheme in ("light", "dark") if SHOTS else ():
            person.prefers(scheme)
            Path(SHOTS).mkdir(exist_ok=True)
            person.browser.save_screenshot(str(Path(SHOTS) / f"{page}-{screen}-{scheme}.png"))
    for element in person.browser.find_elements(By.CSS_SELECTOR, "input:not([type=hidden]), button, a"):
        shown = element.is_displayed()
        assert element.accessible_name.strip() or not shown, f"{page}: nameless {element.get_attribute('outerHTML')}"
    assert person.complaints() == [], page
