"""Engines as the tests have them: a missing one skips tests, and fails them in CI; the report names those used."""

import os
import sqlite3
from collections import Counter

import pytest

from tools.engines import ENGINES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-engine", action="store_true", help="fail where no test used an engine that is there")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that reports, not one of xdist's
        config.pluginmanager.register(EnginesUsed(every=config.getoption("every_engine")))


def require(name: str) -> None:
    """Skip the test where an engine is not installed. In CI it fails instead."""
    (engine,) = (engine for engine in ENGINES if engine.name == name)
    if not (missing := engine.missing_programs()):
        return
    reason = f"{engine.title} is not installed: there is no {', '.join(missing)}"
    if "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class EnginesUsed:
    """A plugin of pytest: counts the tests that passed with each engine, by their markers.

    Args:
        every: Whether the run fails where an engine that is installed, in CI any engine, was in no test that passed.
    """

    def __init__(self, *, every: bool) -> None:
        self._every = every
        self._passed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.update(engine.name for engine in ENGINES if engine.name in report.keywords)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self._unused():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        used = [f"{engine.title} {engine.version()}" for engine in ENGINES if self._passed[engine.name]]
        terminalreporter.line(f"Tested with SQLite {sqlite3.sqlite_version}" + "".join(f", {name}" for name in used))
        missing = [engine for engine in ENGINES if engine.missing_programs()]
        if missing or self._unused():
            terminalreporter.section("WARNING: NOT TESTED", sep="!", red=True, bold=True)
        for engine in missing:
            terminalreporter.line(f"{engine.title} is not installed: every test that needs it was skipped.")
        for title in self._unused():
            terminalreporter.line(f"{title}: no test that needs it passed. This run fails for it.")

    def _unused(self) -> list[str]:
        required = [engine for engine in ENGINES if "CI" in os.environ or not engine.missing_programs()]
        return [engine.title for engine in required if self._every and not self._passed[engine.name]]
