"""Nobody waits long for a word from the tests, however long one of them takes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT

CONFTEST = """
from tests import heartbeat
from tests.heartbeat import pytest_configure

heartbeat.INTERVAL_SECONDS = 0.05
"""


def test_a_test_that_takes_long_is_named_while_it_runs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_long.py").write_text(f"def test_it(): assert open({str(fifo)!r}).read() == 'go on'\n")
    words = ["timeout", "120", sys.executable, "-m", "pytest", "-n", "2", "-p", "xdist", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line == "    running: test_long.py::test_it\n":
                break
        else:
            raise AssertionError("the run ended without having named it")
        fifo.write_text("go on")
        assert "1 passed" in run.stdout.read()
    assert run.returncode == 0
