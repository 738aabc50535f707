"""The tests that the documentation shows are run by pytest, with the package's plugin as its users have it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import PAGES_WITH_CODE, ROOT, name_of, python_blocks_of

_TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
PAGES_WITH_TESTS = [page for page in PAGES_WITH_CODE if any(_TEST.search(b.code) for b in python_blocks_of(page))]


def test_there_are_some() -> None:
    assert "docs/testing.md" in map(name_of, PAGES_WITH_TESTS)


def test_the_tests_that_pages_show_pass(tmp_path: Path) -> None:
    shown = 0
    for page in PAGES_WITH_TESTS:
        blocks = python_blocks_of(page)
        shown += sum(len(_TEST.findall(block.code)) for block in blocks)
        module = tmp_path / f"test_{page.stem.lower()}.py"
        module.write_text("\n\n".join(block.code for block in blocks))
    theirs = ("ASGI_SESSIONS", "PYTEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["asgi_sessions.testing.pytest_plugin"]\n')
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "anyio", "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(rf"^{shown} passed", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr
