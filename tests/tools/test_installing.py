"""What make installs is named before, and starts nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import debian
from tools.engines import CLUSTER_ENGINES, ENGINES
from tools.install import PYPROJECT, Environment, announce, engines_named, lowest_versions


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the system's own."""
    monkeypatch.setattr(debian, "ETC", tmp_path)
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(debian, "KEPT_POLICY", tmp_path / "policy-rc.d.kept")
    return tmp_path


def enable(system: Path, unit: str) -> Path:
    link = system / "systemd/system/multi-user.target.wants" / unit
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"/usr/lib/systemd/system/{unit}")
    return link


def test_while_packages_are_installed_no_service_may_start(system: Path) -> None:
    with debian.services_asleep():
        assert os.access(debian.POLICY, os.X_OK)
        assert "exit 101" in debian.POLICY.read_text()
    assert not debian.POLICY.exists()


def test_a_policy_that_was_there_is_there_again_also_after_a_failure(system: Path) -> None:
    debian.POLICY.write_text("the administrator's")

    def fails() -> None:
        with debian.services_asleep():
            sys.exit("no disk")

    with pytest.raises(SystemExit):
        fails()
    assert debian.POLICY.read_text() == "the administrator's"


def test_what_a_killed_run_left_is_put_right_by_the_next(system: Path) -> None:
    debian.POLICY.write_text("the administrator's")
    killed = debian.services_asleep()
    killed.__enter__()
    with debian.services_asleep():
        pass
    assert debian.POLICY.read_text() == "the administrator's"


def test_a_service_that_comes_along_is_not_enabled_and_others_stay_so(system: Path) -> None:
    before = enable(system, "cron.service")
    with debian.services_asleep():
        came_along = enable(system, "redis-server.service")
    assert before.is_symlink()
    assert not came_along.is_symlink()


def is_up_to_date(folder: Path, extra: str) -> bool:
    return Environment(folder, extra).is_up_to_date


def test_an_environment_is_up_to_date_until_the_requirements_change(tmp_path: Path) -> None:
    assert not is_up_to_date(tmp_path, "example")
    stamp = tmp_path / ".installed-example"
    stamp.touch()
    assert is_up_to_date(tmp_path, "example")
    before = PYPROJECT.stat().st_mtime - 1
    os.utime(stamp, (before, before))
    assert not is_up_to_date(tmp_path, "example")


def test_an_environment_for_the_tests_serves_the_example_too(tmp_path: Path) -> None:
    (tmp_path / ".installed-dev").touch()
    assert is_up_to_date(tmp_path, "example")
    (tmp_path / ".installed-dev").rename(tmp_path / ".installed-example")
    assert not is_up_to_date(tmp_path, "dev")


def test_an_environment_of_the_lowest_versions_is_none_of_the_newest(tmp_path: Path) -> None:
    for extra in ("core", "dev", "test"):
        (tmp_path / f".installed-{extra}").touch()
    assert is_up_to_date(tmp_path, "core")
    assert not Environment(tmp_path, "core", lowest=True).is_up_to_date
    (tmp_path / ".installed-core").rename(tmp_path / ".installed-core-lowest")
    assert Environment(tmp_path, "core", lowest=True).is_up_to_date


PROJECT_TABLE = """
[project]
name = "ours"
dependencies = ["sqlalchemy[asyncio]>=2.1.3", "anyio>=4.11"]
[project.optional-dependencies]
some = ["ours[other]", "opentelemetry-sdk>=0.66b0"]
other = ["anyio>=4.11"]
"""


def test_the_lowest_versions_are_the_bounds_of_all_that_may_be_installed() -> None:
    assert lowest_versions(PROJECT_TABLE) == ["anyio==4.11", "opentelemetry-sdk==0.66b0", "sqlalchemy==2.1.3"]


@pytest.mark.parametrize("requirement", ["anyio", "anyio>=4.11,<5", "anyio==4.11", "anyio>=4.11; sys_platform == 'x'"])
def test_a_requirement_whose_lowest_version_is_not_plain_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="must have a lower bound, and nothing else"):
        lowest_versions(PROJECT_TABLE.replace("anyio>=4.11", requirement))


def test_our_own_bounds_can_be_pinned() -> None:
    pins = dict(pin.split("==") for pin in lowest_versions(PYPROJECT.read_text()))
    assert {"starlette", "sqlalchemy", "redis", "pytest", "gradio"} <= set(pins)


def test_engines_are_chosen_by_name() -> None:
    assert engines_named("all") == list(ENGINES)
    assert [engine.name for engine in engines_named("redis mariadb")] == ["mariadb", "redis"]
    assert engines_named("") == []
    with pytest.raises(SystemExit, match="no engine oracle; there are mariadb, postgresql"):
        engines_named("oracle")


def test_all_that_will_be_installed_is_named_with_its_purpose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("test", Environment(tmp_path, "dev"), {("postgresql",): "PostgreSQL, for a reason"}, installs=False)
    told = capsys.readouterr().out
    assert "postgresql " in told
    assert "for a reason" in told
    assert str(tmp_path) in told
    assert "make test-fast" in told
    assert "lowest" not in told


def test_that_the_lowest_versions_are_installed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce("test-lowest", Environment(tmp_path, "core", lowest=True), {}, installs=False)
    assert "the lowest versions that pyproject.toml allows" in capsys.readouterr().out


def test_a_package_is_called_as_the_installed_debian_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_cache = tmp_path / "apt-cache"
    apt_cache.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for unknown in ("exit 100", "exit 0"):  # apt knows of no such name; or others refer to it
        known = 'echo "Package: $2"'
        apt_cache.write_text(f'#!/bin/sh\ncase "$2" in webkit2gtk-driver | xvfb) {known} ;; *) {unknown} ;; esac\n')
        assert debian.names_here(("webkitgtk-webdriver", "xvfb")) == ("webkit2gtk-driver", "xvfb")
    apt_cache.write_text('#!/bin/sh\necho "Package: $2"\n')
    assert debian.names_here(("webkitgtk-webdriver", "xvfb")) == ("webkitgtk-webdriver", "xvfb")


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="is about Debian")
def test_the_debian_that_is_here_has_every_package() -> None:
    names = debian.names_here([package for engine in (*ENGINES, *CLUSTER_ENGINES) for package in engine.packages])
    told = subprocess.run(["apt-cache", "show", *names], capture_output=True, text=True, check=True).stdout
    assert set(names) <= set(re.findall(r"^Package: (\S+)$", told, re.MULTILINE))
