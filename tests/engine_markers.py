"""Which tests need which engine, and which are fast: markers, so that `-m` selects them. They are set here alone."""

import re
from pathlib import Path

import pytest

from tools.engines import CLUSTER_ENGINES, ENGINES

CLUSTERS = {
    "galera": ("galera",),
    "galera_node": ("galera",),
    "distant_galera": ("galera",),
    "proxied_galera": ("galera", "haproxy"),
    "oracle_mysql": ("oracle_mysql",),
    "group_replication": ("oracle_mysql",),
    "group_primary": ("oracle_mysql",),
    "mariadb_11_8": ("mariadb_11_8",),
    "postgresql_16": ("postgresql_16",),
    "postgresql_17": ("postgresql_17",),
    "postgresql_18": ("postgresql_18",),
    "mariadb_pair": ("mariadb",),
    "upgradable_mariadb": ("mariadb", "mariadb_11_8"),
    "upgradable_pair": ("mariadb", "mariadb_11_8"),
    "postgresql_pair": ("postgresql",),
    "own_server": (),
}
"""Fixtures of tests/clusters and of trees, and the engines that each needs."""

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
    "tools/test_clusters_left_out.py",
    "tools/test_engines_used.py",
)
"""Folders and files of tests that take long without an engine too: they start processes, or try thousands of cases."""


def is_slow(path: Path, tests: Path) -> bool:
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix().startswith(SLOW)


def mark(item: pytest.Item) -> None:
    """Give a test its markers: each engine that it needs, `clusters` where it needs some; or `fast`, if it is so."""
    needed = engines_of(item)
    for name in needed:
        item.add_marker(name)
    if clusters_of(item):
        item.add_marker("clusters")
    if not needed and not is_slow(item.path, item.config.rootpath / "tests"):
        item.add_marker("fast")


def engines_of(item: pytest.Item) -> list[str]:
    """Fixtures with an engine in their name (``on_``, ``odd_``) ask for it, and parameters that are such a name do."""
    if "protocol" in item.path.parts:
        return []  # pure rules: a name among the parameters is that of a browser or a program
    asked = {name.removeprefix("on_") for name in getattr(item, "fixturenames", ())}
    if (parameters := getattr(item, "callspec", None)) is not None:
        asked.update(v.removeprefix("odd_") for v in parameters.params.values() if isinstance(v, str))
    asked.update(engine for cluster in clusters_of(item) for engine in CLUSTERS[cluster])
    return [engine.name for engine in (*ENGINES, *CLUSTER_ENGINES) if engine.name in asked]


def clusters_of(item: pytest.Item) -> set[str]:
    """Which fixtures of `CLUSTERS` it asks for, itself or as the server of its ``database``."""
    parameters = getattr(item, "callspec", None)
    server = {parameters.params["database"]} if parameters is not None and "database" in parameters.params else set()
    return CLUSTERS.keys() & {*getattr(item, "fixturenames", ()), *server}


def asks_for_clusters(config: pytest.Config) -> bool:
    """Whether `-m` names what only tests of clusters have. Other runs leave them out."""
    words = re.findall(r"\w+", str(config.getoption("markexpr", "")))
    return not {"clusters", "fire", *(engine.name for engine in CLUSTER_ENGINES)}.isdisjoint(words)


def without_clusters(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out the tests of clusters, unless they are asked for."""
    if asks_for_clusters(config):
        return
    if left_out := [item for item in items if item.get_closest_marker("clusters")]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("clusters")]
