"""Each page as its reader has it who pastes the blocks in order into an empty folder: the files run, the tests pass."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES_WITH_CODE, README, ROOT, files_of, name_of

_TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
PAGES_WITH_TESTS = [page for page in PAGES_WITH_CODE if any(map(_TEST.search, files_of(page).values()))]


def python(folder: Path, *arguments: str) -> str:
    """Run Python there as somebody who has the package installed and nothing configured; what it printed."""
    theirs = ("ASGI_SESSIONS", "PYTEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def pasted(page: Path, folder: Path) -> list[str]:
    files = files_of(page)
    for name, code in files.items():
        (folder / name).write_text(code)
    return list(files)


def run_tests(page: Path, folder: Path) -> None:
    shown = sum(len(_TEST.findall(code)) for code in files_of(page).values())
    printed = python(folder, "-m", "pytest", "-q", "-W", "error", "-p", "anyio", "-p", "no:cacheprovider", ".")
    assert re.search(rf"^{shown} passed", printed, re.MULTILINE), printed


def test_the_readme_and_the_page_about_tests_show_some() -> None:
    assert {"README.md", "docs/testing.md"} <= set(map(name_of, PAGES_WITH_TESTS))


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_the_files_of_a_page_run(page: Path, tmp_path: Path) -> None:
    for name in pasted(page, tmp_path):
        python(tmp_path, name)


@pytest.mark.parametrize("page", PAGES_WITH_TESTS, ids=name_of)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    pasted(page, tmp_path)
    run_tests(page, tmp_path)


def test_the_readmes_tests_leave_the_development_database_alone(tmp_path: Path) -> None:
    pasted(README, tmp_path)
    (tmp_path / "log_in.py").write_text(
        "from starlette.testclient import TestClient\n"
        "from main import app\n"
        "with TestClient(app, base_url='https://testserver') as client:\n"
        "    for _ in range(3):\n"
        "        client.cookies.clear()\n"
        "        client.post('/login', json={'name': 'alice', 'password': 'wonderland'}).raise_for_status()\n"
    )
    python(tmp_path, "log_in.py")
    before = (tmp_path / "sessions.db").read_bytes()
    run_tests(README, tmp_path)
    assert (tmp_path / "sessions.db").read_bytes() == before
