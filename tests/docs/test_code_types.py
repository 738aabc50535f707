"""What the documentation shows also satisfies a strict type checker, as its readers' code must."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import FIRST_FILE, PAGES_WITH_CODE, README, ROOT, as_one_module, files_of, name_of


def test_the_code_of_every_page_is_well_typed(tmp_path: Path) -> None:
    (tmp_path / FIRST_FILE).write_text(files_of(README)[FIRST_FILE])  # some pages go on from it
    names = {}
    for page in PAGES_WITH_CODE:
        module = tmp_path / f"docs_{page.stem.replace('-', '_').lower()}.py"
        module.write_text(as_one_module(page))
        names[str(module)] = name_of(page)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary", *names],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = checked.stdout + checked.stderr
    for module_path, page_name in names.items():
        found = found.replace(module_path, page_name)
    assert checked.returncode == 0, found
