"""The request benchmark runs, every answer is right, and its report holds every variant. No figure is judged."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.measuring import Samples, Spread, turns
from benchmarks.report import Report
from benchmarks.requests import findings
from benchmarks.requests.__main__ import main
from benchmarks.requests.jars import Jar, WrongAnswer, check
from benchmarks.requests.variants import VARIANTS, Variant

QUICK = ["--quick", "--here", "--rounds", "1"]


def test_in_process_each_kind_of_journey_gives_right_answers_and_results(tmp_path: Path) -> None:
    starlette = [v.name for v in VARIANTS if v.app == "ours_starlette" and v.database == "sqlite"]
    mine = ["bare-fastapi", *starlette, "ours-fastapi-seen-token"]
    main([*QUICK, "--part", "in-process", "--results", str(tmp_path), "--only", *mine])

    found = json.loads((tmp_path / "requests.json").read_text())
    summary = found["results"]["in_process"]["summary"]
    assert list(summary) == mine
    assert all(
        set(of_one) == {"over_wall", "over_cpu", "bare_wall", "bare_cpu", "cpu_ratio"} for of_one in summary.values()
    )
    assert all(of_one["bare_wall"]["median"] > 0 for of_one in summary.values())
    assert set(found["results"]["in_process"]["rounds"][0]) == set(mine)
    assert {"python", "starlette", "fastapi", "pyjwt"} <= set(found["results"]["versions"]["asgi_sessions"])
    assert {"date", "command", "commit", "cpu", "python"} <= set(found["machine"])
    page = (tmp_path / "requests.md").read_text()
    assert all(f"| {name} |" in page for name in mine)
    assert found["results"]["in_process"]["rounds"][0]["ours-starlette-new-token"]["decode_cpu"] > 0
    assert "decoded by PyJWT" in page


def test_over_http_each_kind_of_journey_gives_right_answers_and_results(tmp_path: Path) -> None:
    only = ["ours-starlette-seen-token", "ours-fastapi-new-token", "ours-starlette-refresh-sqlite"]
    main([*QUICK, "--part", "http", "--results", str(tmp_path), "--only", *only])

    summary = json.loads((tmp_path / "requests.json").read_text())["results"]["over_http"]["summary"]
    assert set(summary) == set(only)
    assert all(of_one["rate_ratio"]["median"] > 0 for of_one in summary.values())


@pytest.mark.parametrize(
    ("status", "body", "sets_cookies"), [(401, b"", False), (200, b"43", False), (200, b"42", True), (302, b"", False)]
)
def test_a_wrong_answer_ends_the_run(status: int, body: bytes, sets_cookies: bool) -> None:
    check("/me", Jar(), 200, b"42", sets_cookies=False, bare=False, may_set_cookies=False)

    with pytest.raises(WrongAnswer):
        check("/me", Jar(), status, body, sets_cookies=sets_cookies, bare=False, may_set_cookies=False)


def test_a_variant_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])

    assert "nonsense" in capsys.readouterr().err


def test_each_round_has_every_variant_once_and_neighbours_change() -> None:
    order = list(turns("abc", 4))

    assert [sorted(variant for number, variant in order if number == wanted) for wanted in range(4)] == [
        list("abc")
    ] * 4
    assert len({tuple(variant for number, variant in order if number == wanted) for wanted in range(4)}) == 4


def test_differences_and_ratios_are_taken_within_a_round() -> None:
    samples = Samples()
    for number, (bare, mine) in enumerate([(10.0, 20.0), (100.0, 120.0), (1.0, 4.0)]):
        samples.add(number, "bare", {"us": bare})
        samples.add(number, "mine", {"us": mine})

    assert samples.difference("mine", "bare", "us").median == 10
    assert samples.ratio("mine", "bare", "us") == Spread.of([2.0, 1.2, 4.0])


def test_what_took_less_than_the_clock_can_tell_gives_no_ratio() -> None:
    samples = Samples()
    for number, (bare, mine) in enumerate([(0.0, 20.0), (10.0, 20.0), (0.0, 0.0)]):
        samples.add(number, "bare", {"us": bare})
        samples.add(number, "mine", {"us": mine})

    assert samples.ratio("mine", "bare", "us") == Spread.of([2.0])


@pytest.mark.parametrize("part", [findings.in_process, findings.over_http])
def test_a_report_says_where_there_was_nothing_to_measure(
    part: Callable[[Report, Sequence[Variant], Samples], None], tmp_path: Path
) -> None:
    samples, report = Samples(), Report("requests", "Nothing", {}, {})
    quantities = ("over_wall", "over_cpu", "bare_wall", "bare_cpu", "rate", "bare_rate", "cpu")
    samples.add(0, VARIANTS[0].name, dict.fromkeys(quantities, 0.0))
    part(report, VARIANTS[:1], samples)
    report.write(tmp_path)

    assert "| - |" in (tmp_path / "requests.md").read_text()
    text = (tmp_path / "requests.json").read_text()
    (found,) = json.loads(text)["results"].values()
    assert found["summary"][VARIANTS[0].name]["cpu_ratio"]["median"] is None
    assert "NaN" not in text
