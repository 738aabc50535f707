"""Browsers on a bad line, in real time; ``python -m tests.simulation`` runs a thousand of them in each mode.

Source: rotation, "What must hold", 1: no alarm and no logout for one jar.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from asgi_sessions import SessionSettings
from tests.servers import MariaDB
from tests.simulation.lifetimes import Lifetimes
from tests.simulation.plan import Plan
from tests.simulation.report import Report, Verdict
from tests.simulation.run import run, run_until_conclusive

LIFETIMES = Lifetimes.of(2000)
SMALL = Plan("endpoint", "first_use", sessions=16, requests=0, seed=7, at_once=16, lifetimes=LIFETIMES)
FINE = Report(
    plan=replace(SMALL, sessions=1),
    counts=Counter(
        {
            "lost requests": 1,
            "lost answers": 1,
            "repeated requests": 1,
            "overtaken answers": 1,
            "refreshes asked for": 1,
            "409 acted on": 1,
        }
    ),
    alive=1,
    revoked=0,
    alarms=0,
    refreshes=[3],
    generations=[3],
    failures={},
    longest={0: 0.4},
    workers=2,
    tracebacks=0,
    seconds=1.0,
)


@pytest.mark.parametrize("promote_on", ["refresh", "first_use"])
@pytest.mark.parametrize(("refresh", "sessions"), [("inline", 50), ("endpoint", 30)])
def test_nobody_is_logged_out_or_called_a_thief(
    refresh: Literal["inline", "endpoint"],
    sessions: int,
    promote_on: Literal["refresh", "first_use"],
    mariadb: MariaDB,
    tmp_path: Path,
) -> None:
    plan = Plan(refresh, promote_on, sessions, requests=600, seed=1, at_once=sessions, lifetimes=LIFETIMES)
    report = run_until_conclusive(plan, mariadb, tmp_path)
    # Also that answers were lost, overtaken and so on: a run in which nothing happens is inconclusive.
    assert report.verdict is Verdict.CLEAN, str(report)


def test_it_can_fail(mariadb: MariaDB, tmp_path: Path) -> None:
    """Without patience for late parents, as in the reference library, browsers on such a line are called thieves."""
    for access in (2000, 4000, 8000):
        plan = replace(SMALL, lifetimes=replace(Lifetimes.of(access), late_parent=0))
        report = run(plan, mariadb, tmp_path)
        if report.verdict is Verdict.FAILED:
            break
    assert report.verdict is Verdict.FAILED, str(report)
    assert report.alarms > 0
    assert report.revoked > 0
    assert report.counts["token_theft_detected"] > 0
    assert report.alive < plan.sessions


def test_the_proportions_are_those_of_the_defaults() -> None:
    settings = SessionSettings()
    scaled = Lifetimes.of(settings.access_token_lifetime_ms)
    assert scaled.sibling == settings.sibling_window_ms
    assert scaled.late_parent == settings.late_parent_window_ms
    assert scaled.young == settings.min_refresh_age_ms
    assert scaled.round_trip == 60_000


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.CLEAN),
        ({"failures": {0: ["logged out"]}, "alive": 0}, Verdict.FAILED),
        ({"failures": {0: ["logged out"]}, "alive": 0, "longest": {0: 0.401}}, Verdict.INCONCLUSIVE),
        ({"failures": {0: ["logged out"]}, "alive": 0, "longest": {0: 0.4, 1: 0.401}}, Verdict.FAILED),
        ({"longest": {0: 0.401}}, Verdict.CLEAN),
        ({"alarms": 1}, Verdict.FAILED),
        ({"revoked": 1}, Verdict.FAILED),
        ({"alive": 0}, Verdict.FAILED),
        ({"tracebacks": 1, "longest": {0: 0.401}}, Verdict.FAILED),
        ({"counts": FINE.counts + Counter({"5xx": 1})}, Verdict.FAILED),
        ({"counts": FINE.counts - Counter({"409 acted on": 1})}, Verdict.INCONCLUSIVE),
        ({"counts": FINE.counts - Counter({"overtaken answers": 1})}, Verdict.INCONCLUSIVE),
        ({"refreshes": [2]}, Verdict.INCONCLUSIVE),
        ({"workers": 1}, Verdict.INCONCLUSIVE),
    ],
    ids=str,
)
def test_what_a_run_proves(change: dict[str, object], verdict: Verdict) -> None:
    assert replace(FINE, **change).verdict is verdict  # type: ignore[arg-type]
