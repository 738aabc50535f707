"""Engines as the tests have them: a missing one skips tests, and fails them in CI; the report names those used."""

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import pytest

from tests.engine_markers import asks_for_clusters
from tools.engines import CLUSTER_ENGINES, ENGINES, Engine

ALL = (*ENGINES, *CLUSTER_ENGINES)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-engine", action="store_true", help="fail where no test used an engine that is there")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that reports, not one of xdist's
        engines = CLUSTER_ENGINES if asks_for_clusters(config) else ENGINES
        config.pluginmanager.register(EnginesUsed(engines, every=config.getoption("every_engine")))


def require(name: str) -> None:
    """Skip the test where an engine is not installed. In CI it fails instead."""
    (engine,) = (engine for engine in ALL if engine.name == name)
    if missing := engine.missing_programs():
        leave_out(f"{engine.title} is not installed: there is no {', '.join(missing)}")


def leave_out(reason: str) -> NoReturn:
    """Skip the test, which cannot be made here. In CI it fails instead."""
    if "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class EnginesUsed:
    """A plugin of pytest: counts the tests that passed with each engine, by their markers.

    Args:
        engines: Those that the run is about.
        every: Whether the run fails where one of them that is installed, in CI any, was in no test that passed.
    """

    def __init__(self, engines: Sequence[Engine], *, every: bool) -> None:
        self._engines = engines
        self._every = every
        self._passed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.update(engine.name for engine in ALL if engine.name in report.keywords)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self._unused():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        used = [f"{engine.title} {engine.version()}" for engine in ALL if self._passed[engine.name]]
        terminalreporter.line(f"Tested with SQLite {sqlite3.sqlite_version}" + "".join(f", {name}" for name in used))
        missing = [engine for engine in self._engines if engine.missing_programs()]
        if missing or self._unused():
            terminalreporter.section("WARNING: NOT TESTED", sep="!", red=True, bold=True)
        for engine in missing:
            terminalreporter.line(f"{engine.title} is not installed: every test that needs it was skipped.")
        for title in self._unused():
            terminalreporter.line(f"{title}: no test that needs it passed. This run fails for it.")

    def _unused(self) -> list[str]:
        required = [engine for engine in self._engines if "CI" in os.environ or not engine.missing_programs()]
        return [engine.title for engine in required if self._every and not self._passed[engine.name]]
