"""Tests of clusters run where `-m` names them, and nowhere else: `make test` does not even skip them."""

import subprocess
import sys
from functools import cache

import pytest

from tests.docs.pages import ROOT

FILES = (
    *(f"tests/clusters/test_{name}.py" for name in ("clusters", "sessions", "under_fire")),
    "tests/store/test_leases.py",
)
KINDS = "galera", "oracle", "group", "mariadb_", "postgresql_"


@cache
def collected(*options: str) -> list[str]:
    """Return the names of the tests that would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *options, *FILES], cwd=ROOT, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "::" in line]


def of_clusters(name: str) -> bool:
    return name.startswith("tests/clusters") or any(f"[{kind}" in name for kind in KINDS)


@pytest.mark.parametrize("options", [(), ("-m", "mariadb"), ("-m", "fast")])
def test_they_are_left_out(options: tuple[str, ...]) -> None:
    names = collected(*options)
    assert names
    assert not any(map(of_clusters, names))


def test_make_test_engines_runs_them_and_no_others() -> None:
    names = collected("-m", "clusters")
    assert {name.partition("/")[2].partition("/")[0] for name in names} == {"clusters", "store"}
    assert all(map(of_clusters, names))


def test_make_test_engines_and_make_test_cluster_share_them() -> None:
    in_order, burning = collected("-m", "clusters and not fire"), collected("-m", "fire")
    assert all("test_under_fire" in name for name in burning)
    assert sorted([*in_order, *burning]) == sorted(collected("-m", "clusters"))


def test_those_of_one_engine_can_be_chosen() -> None:
    names = collected("-m", "galera")
    assert names
    assert all("galera" in name or "proxy" in name for name in names)
