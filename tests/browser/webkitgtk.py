"""WebKitGTK's MiniBrowser, on a screen that nobody sees: it has no headless mode."""

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import WebKitGTK, WebKitGTKOptions, WebKitGTKService

from tests.patience import PATIENCE
from tools.engines import find_program

ENVIRONMENT = {
    "GDK_BACKEND": "x11",
    "GSETTINGS_BACKEND": "memory",
    "GTK_A11Y": "none",
    "NO_AT_BRIDGE": "1",
    "LIBGL_ALWAYS_SOFTWARE": "1",
    "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
}
"""Nothing of a desktop is needed: no bus, no settings of the user's, no graphics card."""


class Service(WebKitGTKService):
    def send_remote_shutdown_command(self) -> None:
        """Leave it to the signal: WebKitWebDriver knows no such command, and Selenium leaves its 404 open.

        Of that Python 3.14 warns.
        """


@contextmanager
def screen() -> Iterator[str]:
    """Give an X server's ``DISPLAY``."""
    reads, writes = os.pipe()
    options = ["-displayfd", str(writes), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    process = subprocess.Popen(
        [find_program("Xvfb"), *options],
        pass_fds=[writes],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writes)
    try:
        with open(reads) as answer:
            number = answer.readline().strip()  # when it is ready; nothing if it ended
        if not number:
            raise RuntimeError("Xvfb did not start")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def start(profile: Path, display: str) -> WebKitGTK:
    """Open a browser.

    Args:
        profile: A new folder.
        display: Where its window goes.
    """
    options = WebKitGTKOptions()
    options.binary_location = find_program("MiniBrowser")
    options.add_argument("--automation")
    options.accept_insecure_certs = True
    home = {name: str(profile) for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    environment = os.environ | ENVIRONMENT | home | {"DISPLAY": display}
    service = Service(find_program("WebKitWebDriver"), env=environment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Selenium's connection, as its own class makes it
        return WebKitGTK(options, service)
