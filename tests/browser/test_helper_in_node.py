"""The browser helper outside browsers: in Node, against a real server, by tests that are written for Node."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.browser.helper_app import CLOCK
from tests.uvicorn_server import PROJECT, SECRET, UvicornServer, environment_with

MODULE = PROJECT / "asgi_sessions" / "browser" / "session.js"
TESTS = PROJECT / "tests" / "browser" / "helper.test.mjs"


@pytest.mark.parametrize(
    ("refresh", "csrf", "status"),
    [
        ("inline", "fetch-metadata", "401"),
        ("endpoint", "fetch-metadata", "401"),
        ("endpoint", "token", "440"),
        ("inline", "token", "401"),
    ],
)
def test_in_node(node: str, tmp_path: Path, refresh: str, csrf: str, status: str) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    settings = {
        CLOCK: str(clock),
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_REFRESH": refresh,
        "ASGI_SESSIONS_CSRF": csrf,
        "ASGI_SESSIONS_EXPIRED_STATUS_CODE": status,
        "ASGI_SESSIONS_IDLE_TIMEOUT": "1h",
        "ASGI_SESSIONS_MAX_CLOCK_DIFFERENCE": "1d",
    }
    with UvicornServer("tests.browser.helper_app:app", tmp_path, settings) as server:
        given = {
            "HELPER_URL": f"http://127.0.0.1:{server.port}",
            "HELPER_MODULE": MODULE.as_uri(),
            "HELPER_REFRESH": refresh,
            "HELPER_CSRF": csrf,
            "HELPER_STATUS": status,
            CLOCK: str(clock),
        }
        done = subprocess.run(
            [node, "--test", "--test-reporter", "tap", str(TESTS)],
            check=False,
            env=environment_with(given),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^# pass [1-9]\d", done.stdout, re.MULTILINE)
