"""What users install: everything that runs, and nothing that only tests."""

import subprocess
import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    # hatchling itself and not pip: that would fetch a build environment from the network.
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return ZipFile(built)


def test_the_wheel_holds_all_of_the_package(wheel: ZipFile) -> None:
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "asgi_sessions").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= set(wheel.namelist())
    assert "asgi_sessions/py.typed" in package


def test_the_wheel_holds_every_migration(wheel: ZipFile) -> None:
    versions = "asgi_sessions/store/migrations/versions/"
    written = {path.name for path in (ROOT / versions).glob("*.py")}
    assert written
    assert {name.removeprefix(versions) for name in wheel.namelist() if name.startswith(versions)} == written


def test_the_wheel_holds_nothing_else(wheel: ZipFile) -> None:
    folders = {Path(name).parts[0] for name in wheel.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"asgi_sessions"}


def test_the_wheel_carries_its_licence_and_the_readme(wheel: ZipFile) -> None:
    (metadata_name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(metadata_name).decode())
    assert metadata["Name"] == "asgi-user-sessions"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
