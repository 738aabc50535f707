"""Programs are found wherever Debian and others put them."""

import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tools.engines import CLUSTER_ENGINES, ENGINES, Engine, ProgramMissing, find_program, postgresql_folders


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / name
    made.write_text("#!/bin/sh\necho a program, version 18.0.12\n")
    made.chmod(0o755)
    return made


def test_postgresql_of_any_version_is_found_the_newest_first(tmp_path: Path) -> None:
    for version in ("9.6", "10", "17", "18", "100"):
        program(tmp_path / "usr/lib/postgresql" / version / "bin", "postgres")
    assert [Path(folder).parent.name for folder in postgresql_folders(tmp_path)] == ["100", "18", "17", "10", "9.6"]


def test_postgresql_is_found_where_red_hat_has_it(tmp_path: Path) -> None:
    program(tmp_path / "usr/pgsql-18/bin", "postgres")
    assert postgresql_folders(tmp_path) == [str(tmp_path / "usr/pgsql-18/bin")]


def test_a_program_that_does_the_same_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tools.engines.ALSO_CALLED", {"the-one": ("the-other",)})
    with pytest.raises(ProgramMissing, match="the-one is not installed"):
        find_program("the-one")
    other = program(tmp_path, "the-other")
    assert find_program("the-one") == str(other)


def test_an_engine_tells_what_is_missing_and_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    engine = Engine("some", "Some", ("some-server", "some-client"), ("some",), "this test")
    assert engine.missing_programs() == ["some-server", "some-client"]
    program(tmp_path, "some-server")
    assert engine.missing_programs() == ["some-client"]
    assert engine.version() == "18.0.12"


def test_an_engine_whose_programs_do_not_tell_their_version_has_another_way(tmp_path: Path) -> None:
    other = program(tmp_path, "other")
    assert Engine("some", "Some", ("missing",), ("some",), "this test", (str(other),)).version() == "18.0.12"


def test_a_number_in_a_programs_path_is_not_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some print with which path they were called."""
    monkeypatch.setenv("PATH", str(tmp_path / "release-1.2/v3.4/5.6"))
    program(tmp_path / "release-1.2/v3.4/5.6", "it").write_text("#!/bin/sh\necho $0 Ver 18.0.12-MariaDB\n")
    assert Engine("some", "Some", ("it",), (), "this test").version() == "18.0.12"


def test_every_engine_has_a_marker() -> None:
    names = [engine.name for engine in (*ENGINES, *CLUSTER_ENGINES)]
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    assert {marker.partition(":")[0] for marker in markers} == {*names, "clusters", "fire", "fast"}
