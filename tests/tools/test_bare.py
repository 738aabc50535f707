"""The pieces of `make test-bare` that need no root; the whole is its own test, and takes hours."""

import os
import time
from pathlib import Path

import pytest

from tests.servers import free_port
from tools.bare import host, report, steps, visitor
from tools.bare.systems import SYSTEMS, copy_checkout
from tools.bare.watching import Watched

PRINTED = """\
....s..F
Tested with SQLite 3.46.1, MariaDB 11.8.9
FAILED tests/store/test_engine.py::test_it[mariadb] - AssertionError: no
ERROR tests/asgi/test_login.py::test_that - OSError
===== 1 failed, 4077 passed, 2 skipped, 1 error in 203.29s (0:03:23) =====
"""


def test_the_counts_are_those_of_pytests_last_line() -> None:
    assert report.counts(PRINTED) == {"failed": 1, "passed": 4077, "skipped": 2, "error": 1}
    assert report.counts("12 passed in 1.00s\n" + PRINTED) == report.counts(PRINTED)
    assert report.counts("make: *** [test] Error 2") == {}


def test_failures_make_a_result_bad_and_are_named() -> None:
    result = report.Result("Debian 13", "3.13.5", "make test")
    steps.judge(steps.steps_named("test", None)[0], 2, PRINTED, result)
    assert result.outcome == "1 failed, 4077 passed, 2 skipped, 1 error, on SQLite 3.46.1, MariaDB 11.8.9"
    assert len(result.problems) == 2
    assert "- FAILED tests/store/test_engine.py::test_it[mariadb]" in report.table([result])


@pytest.mark.parametrize(
    ("status", "printed", "problem"),
    [
        (2, "make: *** [Makefile:26: test] Error 1", "ended with status 2"),
        (0, f"!!! WARNING: NOT TESTED !!!\n{PRINTED.splitlines()[0]}\n5 passed in 1.00s", "an engine was not tested"),
        (0, "5 passed in 1.00s", None),
    ],
)
def test_a_command_is_good_if_it_ends_well_and_tests_every_engine(
    status: int, printed: str, problem: str | None
) -> None:
    result = report.Result("Debian 13", "3.13.5", "make test")
    steps.judge(steps.steps_named("test", None)[0], status, printed, result)
    assert result.problems == ([problem] if problem else [])


def test_a_result_is_kept_for_the_next_report(tmp_path: Path) -> None:
    result = report.Result("Debian 12", "3.11.2", "make run", "signed up after 36 s", 6, 36.4, 10.2, ["slow"])
    result.save(tmp_path / "results" / "one.json")
    assert report.Result.load(tmp_path / "results" / "one.json") == result


def test_released_systems_get_what_mends_them_too() -> None:
    mirrors = host.Mirrors("http://mirror/debian/", "http://mirror/security/")
    assert mirrors.sources("trixie").splitlines() == [
        "deb http://mirror/debian/ trixie main",
        "deb http://mirror/debian/ trixie-updates main",
        "deb http://mirror/security/ trixie-security main",
    ]
    assert mirrors.sources("sid") == "deb http://mirror/debian/ sid main\n"


def test_files_that_pips_configuration_names_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    (tmp_path / "pip.conf").write_text(
        f"[global]\nextra-index-url = https://index/simple file://{tmp_path}/index/simple\ncert={tmp_path}/ca.pem\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert {tmp_path / "index", tmp_path / "ca.pem"} <= set(host.pip_paths())
    assert host.variables()["PIP_CONFIG_FILE"] == str(tmp_path / "pip.conf")


def test_what_starts_at_boot_or_forbids_starting_is_found(tmp_path: Path) -> None:
    assert steps.left_behind(tmp_path) == []
    for link in ("etc/rc2.d/S01redis-server", "etc/systemd/system/multi-user.target.wants/postgresql.service"):
        (tmp_path / link).parent.mkdir(parents=True)
        (tmp_path / link).symlink_to("/somewhere")
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/policy-rc.d").touch()
    assert len(steps.left_behind(tmp_path)) == 3


def test_the_longest_silence_is_known_and_what_came_before_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Watched(
        ["sh", "-c", f"echo loud; echo quiet; read line < {fifo}; echo end; exit 3"], tmp_path / "log"
    ) as seen:
        while seen.last_line != "quiet":
            time.sleep(0.01)
        fifo.write_text("go on")
        assert seen.wait(60)
    assert (seen.status, seen.printed) == (3, "loud\nquiet\nend\n")
    assert seen.silence > 0


def test_a_command_that_goes_on_is_ended(tmp_path: Path) -> None:
    with Watched(["sleep", "600"], tmp_path / "log") as watched:
        assert not watched.wait(0)
    assert watched.status == -9


def test_nobody_is_greeted_where_nobody_answers() -> None:
    assert visitor.greeting(free_port(), "Ada") is None


def test_a_copy_of_the_checkout_has_what_make_needs_and_no_cache(tmp_path: Path) -> None:
    copy_checkout(tmp_path / "copy")
    there = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {"Makefile", "pyproject.toml", "tools", "tests", "asgi_sessions", "README.md"} <= there
    assert there.isdisjoint({".venv", ".bare", ".git", ".mypy_cache"})


def test_systems_are_known_by_either_name() -> None:
    from tools.bare.__main__ import named

    assert named(["12", "unstable", "trixie"]) == [SYSTEMS[0], SYSTEMS[2], SYSTEMS[1]]
    assert named([]) == list(SYSTEMS)
    with pytest.raises(SystemExit, match="no system 14; there are bookworm, 12"):
        named(["14"])
