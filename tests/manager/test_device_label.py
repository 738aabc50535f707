"""`label_devices`: the application's name for the device of a login, and what counts where it fails."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager
from tests.asgi.apps import application, new_manager
from tests.clocks import MovableClock

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def sessions() -> SessionManager:
    return new_manager(MovableClock())


def label_of_login(sessions: SessionManager, **headers: str) -> str:
    with TestClient(application(sessions), base_url="https://testserver") as client:
        client.post("/login", headers={"user-agent": AGENT, **headers})
        assert client.portal is not None
        (record,) = client.portal.call(sessions.list_sessions_for_user, "alice")
        return record.device_label


def test_the_function_gets_the_headers_and_names_the_device(sessions: SessionManager) -> None:
    @sessions.label_devices
    def label(headers: Mapping[str, str]) -> str:
        return f"{headers['X-Kiosk']} by {headers['user-agent'][:7]}"

    assert label_of_login(sessions, **{"x-kiosk": "Kiosk 7"}) == "Kiosk 7 by Mozilla"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\nb\x00c\u202ed", "a b c d"),
        ("x" * 5000, "x" * 100),
        ("é" * 101, "é" * 100),
        ("💻 phone", "💻 phone"),
        ("\ud800x", "x"),
        ("", "Firefox on Linux"),
        (" \t ", "Firefox on Linux"),
        (None, "Firefox on Linux"),
    ],
)
def test_a_label_is_one_line_that_fits(sessions: SessionManager, said: str | None, kept: str) -> None:
    sessions.label_devices(lambda _: said)
    assert label_of_login(sessions) == kept


def raises(_: Any) -> str:
    raise RuntimeError("no such thing")


@pytest.mark.parametrize("function", [raises, lambda _: 5, lambda _: b"x"])
def test_a_function_that_fails_stops_no_login(
    sessions: SessionManager, function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sessions.label_devices(function)
    assert label_of_login(sessions) == "Firefox on Linux"
    assert "The function of label_devices failed: it" in caplog.text


def test_there_is_one_plain_function(sessions: SessionManager) -> None:
    async def later(_: Any) -> str:
        return "x"

    with pytest.raises(TypeError, match="must be a plain function"):
        sessions.label_devices(later)  # type: ignore[type-var]  # the mistake
    sessions.label_devices(lambda _: "x")
    with pytest.raises(ValueError, match="already"):
        sessions.label_devices(lambda _: "y")
