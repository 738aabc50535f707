"""Which tests need which engine, and which are fast: markers, so that `-m` selects them. They are set here alone."""

from pathlib import Path

import pytest

from tools.engines import ENGINES

SLOW = (
    "asgi/test_fast_and_slow.py",
    "asgi/test_many_copies.py",
    "asgi/test_older_cookies.py",
    "asgi/test_overlapping_answers.py",
    "asgi/test_terminated_streams.py",
    "asgi/test_without_fastapi.py",
    "benchmarks",
    "browser",
    "cli/test_process.py",
    "cluster",
    "deployment",
    "docs/test_pictures.py",
    "docs/test_code_runs.py",
    "docs/test_pasted.py",
    "example",
    "frameworks",
    "races",
    "revocation/test_bulk.py",
    "revocation/test_index_use.py",
    "revocation/test_nodes.py",
    "revocation/test_handle_set.py",
    "rotation_model",
    "scrubbing",
    "security",
    "simulation",
    "stateful",
    "store/test_migrations.py",
    "testing/test_pytest_plugin.py",
    "tools/test_engines_used.py",
)
"""Folders and files of tests that take long without an engine too: they start processes, or try thousands of cases."""


def is_slow(path: Path, tests: Path) -> bool:
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix().startswith(SLOW)


def mark(item: pytest.Item) -> None:
    """Give a test its markers: the name of each engine that it needs; `fast` where it needs none and is no slow one."""
    needed = engines_of(item)
    for name in needed:
        item.add_marker(name)
    if not needed and not is_slow(item.path, item.config.rootpath / "tests"):
        item.add_marker("fast")


def engines_of(item: pytest.Item) -> list[str]:
    """Fixtures with an engine in their name (``on_``, ``odd_``) ask for it, and parameters that are such a name do."""
    if "protocol" in item.path.parts:
        return []  # pure rules: a name among the parameters is that of a browser or a program
    asked = {name.removeprefix("on_") for name in getattr(item, "fixturenames", ())}
    if (parameters := getattr(item, "callspec", None)) is not None:
        asked.update(v.removeprefix("odd_") for v in parameters.params.values() if isinstance(v, str))
    return [engine.name for engine in ENGINES if engine.name in asked]
