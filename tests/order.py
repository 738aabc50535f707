"""In a run of several processes the long files come first: a long one at the end leaves the others without work."""

from collections import Counter
from pathlib import Path

import pytest

from tests.engine_markers import SLOW

LONG = (
    "channels",
    "docs/test_code_types.py",
    "manager/test_cancelled_starts.py",
    "manager/test_statement_counts.py",
    "revocation/test_freezes.py",
    "revocation/test_starting.py",
    "store/test_cancelled_statements.py",
    "store/test_closing.py",
    "test_last_resort.py",
    "tools/test_heartbeat.py",
)
"""What takes long beside those that are slow even without an engine."""


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # it puts the files of few tests last, and those are the long ones


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files first, then the rest; files of many tests before those of few."""
    if not hasattr(config, "workerinput"):
        return
    tests = config.rootpath / "tests"
    sizes = Counter(item.path for item in items)
    places = {path: (not _comes_first(path, tests), -size, str(path)) for path, size in sizes.items()}
    items.sort(key=lambda item: places[item.path])


def _comes_first(path: Path, tests: Path) -> bool:
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix().startswith(SLOW + LONG)
