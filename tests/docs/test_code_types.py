"""What the documentation shows also satisfies a strict type checker, as its readers' code must."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import PAGES_WITH_CODE, ROOT, name_of, python_blocks_of


def test_the_code_of_every_page_is_well_typed(tmp_path: Path) -> None:
    names = {}
    for page in PAGES_WITH_CODE:
        module = tmp_path / f"docs_{page.stem.replace('-', '_').lower()}.py"
        lines: list[str] = []
        for block in python_blocks_of(page):  # each at its own line, so that mypy names the page's lines
            lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
        module.write_text("\n".join(lines) + "\n")
        names[str(module)] = name_of(page)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = checked.stdout + checked.stderr
    for module_path, page_name in names.items():
        found = found.replace(module_path, page_name)
    assert checked.returncode == 0, found
