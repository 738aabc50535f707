"""Firefox without a window, and without geckodriver, which Debian does not have.

Geckodriver turns each command of WebDriver into one of Marionette, the protocol that Firefox itself speaks. Here
Selenium's commands go there directly; they have the same parameters, with the exceptions below.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selenium.webdriver.common.options import ArgOptions
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver

from tests.patience import PATIENCE
from tools.engines import find_program

COMMANDS = {
    Command.NEW_SESSION: "WebDriver:NewSession",
    Command.GET: "WebDriver:Navigate",
    Command.GO_BACK: "WebDriver:Back",
    Command.REFRESH: "WebDriver:Refresh",
    Command.NEW_WINDOW: "WebDriver:NewWindow",
    Command.SWITCH_TO_WINDOW: "WebDriver:SwitchToWindow",
    Command.W3C_GET_CURRENT_WINDOW_HANDLE: "WebDriver:GetWindowHandle",
    Command.GET_CURRENT_URL: "WebDriver:GetCurrentURL",
    Command.GET_ALL_COOKIES: "WebDriver:GetCookies",
    Command.SWITCH_TO_FRAME: "WebDriver:SwitchToFrame",
    Command.W3C_EXECUTE_SCRIPT: "WebDriver:ExecuteScript",
    Command.W3C_EXECUTE_SCRIPT_ASYNC: "WebDriver:ExecuteAsyncScript",
    Command.W3C_GET_ACTIVE_ELEMENT: "WebDriver:GetActiveElement",
    Command.FIND_ELEMENT: "WebDriver:FindElement",
    Command.FIND_ELEMENTS: "WebDriver:FindElements",
    Command.FIND_CHILD_ELEMENT: "WebDriver:FindElement",
    Command.FIND_CHILD_ELEMENTS: "WebDriver:FindElements",
    Command.CLICK_ELEMENT: "WebDriver:ElementClick",
    Command.CLEAR_ELEMENT: "WebDriver:ElementClear",
    Command.SEND_KEYS_TO_ELEMENT: "WebDriver:ElementSendKeys",
    Command.GET_ELEMENT_TEXT: "WebDriver:GetElementText",
    Command.IS_ELEMENT_ENABLED: "WebDriver:IsElementEnabled",
    Command.SET_TIMEOUTS: "WebDriver:SetTimeouts",
    Command.W3C_GET_CURRENT_WINDOW_HANDLE: "WebDriver:GetWindowHandle",
    Command.W3C_GET_WINDOW_HANDLES: "WebDriver:GetWindowHandles",
    Command.SWITCH_TO_WINDOW: "WebDriver:SwitchToWindow",
    Command.NEW_WINDOW: "WebDriver:NewWindow",
    Command.CLOSE: "WebDriver:CloseWindow",
    "setContext": "Marionette:SetContext",
}
"""What the tests use; geckodriver's source (marionette/src/webdriver.rs) names the others."""
PREFERENCES: Mapping[str, bool | int | str] = {
    "marionette.port": 0,  # the system chooses
    "devtools.jsonview.enabled": False,  # an answer is shown as it came
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "nimbus.rollouts.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.server": "https://%(server)s/dummy/telemetry/",
}
"""The others: the test alone decides where the browser goes."""
CHILD = {Command.FIND_CHILD_ELEMENT, Command.FIND_CHILD_ELEMENTS}


class Options(ArgOptions):
    @property
    def default_capabilities(self) -> dict[str, str]:
        return {"browserName": "firefox"}


class Marionette(RemoteConnection):
    """A running Firefox, to which Selenium speaks.

    Args:
        profile: A new folder.
        preferences: Of the profile, as in ``about:config``.
    """

    def __init__(self, profile: Path, preferences: Mapping[str, bool | int | str]) -> None:
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        (profile / "user.js").write_text("".join(lines))
        flags = ("--headless", "--no-remote", "--marionette", "--remote-allow-system-access")
        command = [find_program("firefox-esr"), *flags, "--profile", str(profile)]
        with (profile / "firefox.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._port(profile)), PATIENCE)
            self._file = self._socket.makefile("rb")
            self._receive()  # which protocol it is
        except BaseException:
            self._kill()
            raise
        self._number = 0

    def _port(self, profile: Path) -> int:
        file, deadline = profile / "MarionetteActivePort", time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if file.exists() and (port := file.read_text()):
                return int(port)
            time.sleep(0.02)
        raise RuntimeError(f"Firefox did not start:\n{(profile / 'firefox.log').read_text(errors='replace')[-2000:]}")

    def execute(self, command: str, params: dict[str, Any]) -> dict[str, Any]:
        """Do what Selenium wants, and return what it expects of a driver."""
        asked = {name: value for name, value in params.items() if name != "sessionId"}
        if command == Command.NEW_SESSION:
            wanted = asked["capabilities"]["alwaysMatch"].items()
            asked = {name: value for name, value in wanted if not name.startswith("se:")}  # Selenium's own
        elif command == Command.QUIT:
            return {"value": None}  # `close` follows
        elif command in CHILD:
            asked["element"] = asked.pop("id")
        elif command == Command.SWITCH_TO_FRAME and isinstance(asked["id"], dict):
            asked = {"element": next(iter(asked["id"].values()))}
        self._number += 1
        text = json.dumps([0, self._number, COMMANDS[command], asked]).encode()
        self._socket.sendall(b"%d:%b" % (len(text), text))
        _, number, error, result = self._receive()
        assert number == self._number
        if error is not None:
            return {"status": 500, "value": json.dumps({"value": error})}
        return {"value": result["value"] if isinstance(result, dict) and [*result] == ["value"] else result}

    def _receive(self) -> Any:
        length = b""
        while (digit := self._file.read(1)) != b":":
            if not digit:
                raise ConnectionError("Firefox has gone")
            length += digit
        return json.loads(self._file.read(int(length)))

    def close(self) -> None:
        """End it at once: its profile is used no more."""
        self._file.close()
        self._socket.close()
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Firefox(WebDriver):
    def inside(self, script: str) -> Any:
        """Run a script that may do what the browser itself does, and return its value."""
        with self._inside():
            return self.execute_script(script)

    def inside_later(self, script: str) -> Any:
        """The same with a script that calls its last argument when it is done."""
        with self._inside():
            return self.execute_async_script(script)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        self.execute("setContext", {"value": "chrome"})
        try:
            yield
        finally:
            self.execute("setContext", {"value": "content"})


def start(profile: Path, preferences: Mapping[str, bool | int | str] | None = None) -> Firefox:
    """Open a browser.

    Args:
        profile: A new folder.
        preferences: As in ``about:config``.
    """
    options = Options()
    options.accept_insecure_certs = True
    marionette = Marionette(profile, {**PREFERENCES, **(preferences or {})})
    try:
        return Firefox(marionette, options=options)
    except BaseException:
        marionette.close()
        raise
