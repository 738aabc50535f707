"""Names the tests that are running where none has ended for a while: a run of several processes tells ends only."""

import threading

import pytest

INTERVAL_SECONDS = 15.0


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Heartbeat())


class Heartbeat:
    """A plugin of pytest, for the process that reports while others test."""

    def __init__(self) -> None:
        self._running: dict[str, None] = {}
        self._word = threading.Event()
        self._is_over = False

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._reporter: pytest.TerminalReporter = session.config.pluginmanager.getplugin("terminalreporter")
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)
        self._word.set()

    def pytest_sessionfinish(self) -> None:
        self._is_over = True
        self._word.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over:
            if not self._word.wait(INTERVAL_SECONDS):
                self._reporter.ensure_newline()
                names = " and ".join(tuple(self._running)) or "collecting"
                self._reporter.write_line(f"    running: {names}", flush=True)
            self._word.clear()
