"""The lifecycle load goes through with nothing but right answers. Its speed is not judged here."""

import json
from pathlib import Path

import pytest

from benchmarks.load import __main__ as program
from benchmarks.load.http import cookie_header, take_cookies
from benchmarks.load.journal import KINDS, Journal
from benchmarks.load.watching import Trend


@pytest.mark.usefixtures("mariadb")
def test_a_quick_run_has_every_answer_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--quick", "--results", str(tmp_path)]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "SERVER SAID" in line]
    assert [line for line in said if "access_token_lifetime: below 1m" not in line] == []  # so it is meant here
    results = json.loads((tmp_path / "load.json").read_text())["results"]
    phases = results["phases"]
    assert set(phases) == {"half speed", "full speed"}
    for phase in phases.values():
        assert phase["unexpected"] == {}
        assert phase["requests"] == sum(phase["count"].values())
    for kind in ("request", "refreshing request", "login"):
        assert sum(phase["count"][kind] for phase in phases.values()) > 0
    assert set(results["memory"]["trend"]) == {"worker 1", "worker 2"}
    assert (tmp_path / "load.md").read_text().count("## Latency") == 2


def test_a_jar_does_what_the_answer_asks_for() -> None:
    jar = {"old": "1"}
    take_cookies(jar, ["a=x==; Path=/; HttpOnly", "b=2; Max-Age=9", "old=; Path=/; Max-Age=0", "none=; max-age=0"])
    assert cookie_header(jar) == "a=x==; b=2"


def test_percentiles_are_in_milliseconds() -> None:
    journal = Journal()
    assert journal.percentiles() is None
    for number in range(101):
        journal.note("request", number / 1000)
    expected = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert journal.percentiles("request") == pytest.approx(expected)
    assert journal.as_json()["latency_ms"].keys() == {"all", *KINDS}


def test_growth_is_seen() -> None:
    flat = Trend.of([(minute / 2, 100.0) for minute in range(20)])
    growing = Trend.of([(minute / 2, 100.0 + minute) for minute in range(20)])
    assert (flat.first_mb, flat.last_mb, flat.mb_per_hour) == (100, 100, 0)
    assert growing.mb_per_hour == pytest.approx(120)
    assert growing.last_mb > growing.first_mb
