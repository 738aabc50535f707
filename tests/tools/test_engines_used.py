"""A run of all tests fails where an engine was not tested, whatever the reason: pytest is run on a few tests."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT
from tools.engines import ENGINES

CONFTEST = """
from tests.engines_used import pytest_addoption, pytest_configure
"""
NAMES = [engine.name for engine in ENGINES]


def run(folder: Path, tests: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n" + "".join(f"    {name}\n" for name in NAMES))
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_some.py").write_text(f"import pytest\n{tests}")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", *options]
    without = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    variables = without | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def marked(name: str, body: str = "pass") -> str:
    return f"@pytest.mark.{name}\ndef test_{name}(): {body}\n"


def test_in_ci_every_engine_must_have_been_in_a_test_that_passed(tmp_path: Path) -> None:
    done = run(tmp_path, "".join(map(marked, NAMES)), "--every-engine", "-n", "2", CI="true")
    assert done.returncode == 0, done.stdout


def test_in_ci_an_engine_in_no_test_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "".join(marked(name) for name in NAMES[:-2]), "--every-engine", CI="true")
    for engine in ENGINES[-2:]:
        assert f"{engine.title}: no test that needs it passed." in done.stdout
    assert done.returncode == 1


def test_an_engine_whose_tests_were_all_skipped_counts_as_untested(tmp_path: Path) -> None:
    tests = "".join(marked(name, "pytest.skip('why')" if name == "redis" else "pass") for name in NAMES)
    done = run(tmp_path, tests, "--every-engine", CI="true")
    assert "Redis: no test that needs it passed." in done.stdout
    assert done.returncode == 1


def test_a_run_of_some_tests_asks_for_no_engine(tmp_path: Path) -> None:
    assert run(tmp_path, marked("redis"), CI="true").returncode == 0


def test_outside_ci_an_engine_that_is_not_installed_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_it(): pass", "--every-engine", PATH=str(tmp_path))
    assert "curl is not installed: every test that needs it was skipped." in done.stdout


def test_a_test_that_needs_what_is_not_there_is_skipped_but_fails_in_ci(tmp_path: Path) -> None:
    tests = "from tests.engines_used import require\ndef test_it(): require('curl')"
    assert "1 skipped" in run(tmp_path, tests, PATH=str(tmp_path)).stdout
    failed = run(tmp_path, tests, PATH=str(tmp_path), CI="true")
    assert "curl is not installed: there is no curl" in failed.stdout
    assert failed.returncode == 1


def test_the_report_names_what_was_tested_with_its_version(tmp_path: Path) -> None:
    done = run(tmp_path, marked("redis"))
    redis = next(engine for engine in ENGINES if engine.name == "redis")
    assert f", Redis {redis.version()}\n" in done.stdout
