"""In a run of several processes the long files come first: a long one at the end leaves the others without work."""

from collections import Counter

import pytest

from tests.engine_markers import is_slow


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # it puts the files of few tests last, and those are the long ones


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files first, then the rest; files of many tests before those of few."""
    if not hasattr(config, "workerinput"):
        return
    tests = config.rootpath / "tests"
    sizes = Counter(item.path for item in items)
    places = {path: (not is_slow(path, tests), -size, str(path)) for path, size in sizes.items()}
    items.sort(key=lambda item: places[item.path])
