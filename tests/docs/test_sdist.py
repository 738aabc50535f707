"""The source archive is a whole checkout: `make test` works where it is unpacked."""

import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

MADE_BY_BUILDING = {"PKG-INFO"}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tarfile.TarInfo]:
    """By their paths in the project."""
    folder = tmp_path_factory.mktemp("sdist")
    # hatchling itself and not pip: that would fetch a build environment from the network.
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        return {member.name.partition("/")[2]: member for member in archive}


def files_of_the_checkout() -> set[str]:
    """What git has; where there is no git, as in an unpacked archive, all that it would not ignore."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
        return {name for name in listed if name and (ROOT / name).is_file()}
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()] + [".venv"]
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return {
        file.as_posix()
        for file in files
        if not any(fnmatch(part, pattern) for part in file.parts for pattern in ignored)
        and not any(file.as_posix().startswith(f"{pattern}/") for pattern in ignored)
    }


def test_the_source_archive_holds_every_file_of_a_checkout(members: dict[str, tarfile.TarInfo]) -> None:
    assert files_of_the_checkout() - MADE_BY_BUILDING - set(members) == set()


def test_what_is_executable_stays_so(members: dict[str, tarfile.TarInfo]) -> None:
    executable = {name for name in members if Path(ROOT / name).is_file() and (ROOT / name).stat().st_mode & 0o100}
    assert ".ci/run" in executable
    assert {name for name in executable if not members[name].mode & 0o100} == set()
