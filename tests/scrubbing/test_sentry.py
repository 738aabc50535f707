"""What Sentry's SDK would send of an application's errors: with the scrubber no token, and without it none of ours."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.installed import installed
from tests.uvicorn_server import PROJECT, environment_with

SECONDS = 120.0
OF_THE_SERVER = {"scope", "connection", "request", "message", "start"}
"""Variables of our frames that hold what the server and the framework have given us: their own frames hold it too."""
OF_THE_APPLICATION = {"error"}
"""Its own exception, whose text may say anything."""


@dataclass(frozen=True)
class Report:
    """One story.

    Attributes:
        name: The story's.
        secrets: What must not be sent, of all stories.
        made: Errors, transactions and logs, as the SDK has made them and would send them by default.
        sent: What was sent.
    """

    name: str
    secrets: list[str]
    made: list[Any]
    sent: list[Any]

    def tells(self, thing: Any) -> bool:
        text = json.dumps(thing)
        return any(secret in text for secret in self.secrets)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    installed("sentry_sdk", extra="dev")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.scrubbing.reporting"],
        cwd=PROJECT,
        env=environment_with({}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    stories = list(map(json.loads, ran.stdout.splitlines()))
    secrets = sorted({secret for story in stories for secret in story["secrets"]})  # a log may be sent a story later
    return [Report(story["name"], secrets, story["made"], story["sent"]) for story in stories]


def frames_of(events: list[Any]) -> Iterator[dict[str, Any]]:
    for event in events:
        for error in (event.get("exception") or {}).get("values", []):
            yield from error.get("stacktrace", {}).get("frames", [])


def test_no_token_is_sent(reports: list[Report]) -> None:
    assert [(report.name, event) for report in reports for event in report.sent if report.tells(event)] == []


def test_without_the_scrubber_tokens_would_be_sent(reports: list[Report]) -> None:
    """So the test above can fail, in every story."""
    assert [report.name for report in reports if not report.tells(report.made)] == []
    places = {place for report in reports for event in report.made for place in event if report.tells(event[place])}
    assert places >= {"exception", "breadcrumbs", "request", "logentry", "body", "attributes"}


def test_nothing_else_is_lost(reports: list[Report]) -> None:
    for report in reports:
        assert shape(events_of(report.sent)) == shape(events_of(report.made))
    logs = [log for report in reports for event in report.sent for log in event.get("items", ())]
    assert any(log["body"].startswith("The order of {") and "shop.example" in log["body"] for log in logs)
    variables = json.dumps([frame["vars"] for report in reports for frame in frames_of(report.sent)])
    for innocent in ("shop.example", "/fail", "[Filtered]", "alice"):
        assert innocent in variables


def events_of(events: list[Any]) -> list[Any]:
    """Those that are no logs, without what the SDK itself moves elsewhere at the end."""
    found = [event for event in events if "event_id" in event]
    for event in found:
        event["contexts"]["trace"].pop("dynamic_sampling_context", None)
    return found


def shape(value: Any) -> Any:
    """What something consists of, without the texts in it."""
    if isinstance(value, dict):
        return {name: shape(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return list(map(shape, value))
    return str if isinstance(value, str) else value


def test_our_own_frames_hold_no_token_but_what_the_server_has_given_them(reports: list[Report]) -> None:
    found = {
        (frame["module"], frame["function"], name)
        for report in reports
        for frame in frames_of(report.made)
        if frame["module"].startswith("asgi_sessions")
        for name, value in (frame.get("vars") or {}).items()
        if report.tells(value) and name not in OF_THE_SERVER | OF_THE_APPLICATION
    }
    assert found == set()


def test_our_own_frames_are_among_those_that_were_looked_at(reports: list[Report]) -> None:
    ours = {
        (frame["module"].removeprefix("asgi_sessions."), frame["function"])
        for report in reports
        for frame in frames_of(report.made)
        if frame["module"].startswith("asgi_sessions")
    }
    assert ours >= {
        ("manager.verifying", "authentic"),
        ("manager.refreshing", "authentic"),
        ("manager.refreshing", "refresh"),
        ("manager.manager", "get_session_without_request"),
        ("manager.manager", "refresh_session_without_request"),
        ("asgi.presented", "_authentic_access"),
        ("asgi.cross_site", "check"),
        ("asgi.authentication", "recognise"),
        ("protocol.csrf", "check"),
    }
