"""Chromium without a window."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tools.engines import find_program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def start(profile: Path, flags: Sequence[str] = (), preferences: Mapping[str, object] | None = None) -> Chrome:
    """Open a browser.

    Args:
        profile: A new folder.
        flags: Of its command line, besides.
        preferences: Of the profile.
    """
    options = ChromeOptions()
    options.binary_location = find_program("chromium")
    options.accept_insecure_certs = True
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", dict(preferences or {}))
    return Chrome(options=options, service=ChromeService(find_program("chromedriver")))
