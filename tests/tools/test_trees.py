"""Other versions of databases are unpacked beside the system, named before, and run as if they were installed."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tools.engines import CLUSTER_ENGINES
from tools.trees import ALL, Npm, Tree, announcement, is_elf, make, named


@dataclass(frozen=True)
class Folder:
    """A source that has a script, and programs of this system with its libraries.

    Attributes:
        lacking: What it says that it takes.
    """

    lacking: str = ""
    name: str = "a folder"

    def lacks(self) -> str:
        return self.lacking

    def fetch(self, title: str, work: Path, tree: Path) -> None:
        work.mkdir(parents=True)
        (loader,) = Path("/usr/lib").glob("*/ld-linux*.so.*")
        libraries = tree / "usr/lib" / loader.parent.name
        libraries.mkdir(parents=True)
        for library in (loader, loader.with_name("libc.so.6")):
            shutil.copy(library, libraries)
        (tree / "usr/bin").mkdir()
        shutil.copy(Path("/bin/sh").resolve(), tree / "usr/bin/shell")
        (tree / "usr/bin/link").symlink_to("shell")
        (tree / "usr/bin/script").write_text('#!/bin/sh\nexec "$(dirname "$0")/shell" "$@"\n')
        (tree / "usr/bin/script").chmod(0o755)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr("tools.trees.TREES", tmp_path / "engines")
    return Tree("some", "Some", Folder(), {"some-shell": "usr/bin/shell"}, "1 MB")


def test_every_engine_that_is_no_package_has_a_tree_and_no_other() -> None:
    unpacked = {engine.name: set(engine.programs) for engine in CLUSTER_ENGINES if not engine.packages}
    assert list(unpacked) == [tree.name for tree in ALL]
    for tree in ALL:
        assert set(tree.programs) == unpacked[tree.name] - {"psql"}  # of any version


def test_make_test_engines_asks_for_every_tree() -> None:
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("TREES :="))
    assert line.split()[2:] == [tree.name for tree in ALL]


needs_glibc = pytest.mark.skipif(
    next(Path("/usr/lib").glob("*/ld-linux*.so.*"), None) is None, reason="takes the loader where Debian has it"
)


@needs_glibc
def test_a_program_is_run_by_the_loader_of_its_tree_and_knows_where_it_is(tree: Tree) -> None:
    make([tree])
    program = tree.folder / "tree/usr/bin/shell"
    script = 'echo "$0"; readlink /proc/$$/exe'
    told = subprocess.run([tree.folder / "bin/some-shell", "-c", script], capture_output=True, text=True, check=True)
    ((loader),) = tree.folder.glob("tree/usr/lib/*/ld-linux*.so.*")
    assert told.stdout.split() == [str(program), str(loader)]


@needs_glibc
def test_what_is_no_program_stays_as_it_was(tree: Tree) -> None:
    make([tree])
    folder = tree.folder / "tree/usr/bin"
    assert {path.name for path in folder.iterdir()} == {"shell", "shell.elf", "link", "script"}
    assert is_elf(folder / "shell.elf")
    assert (folder / "link").is_symlink()
    done = subprocess.run(
        [folder / "script", "-c", "readlink /proc/$$/exe"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tree.folder))


@needs_glibc
def test_one_that_was_there_is_replaced_and_nothing_else_is_left(tree: Tree) -> None:
    (tree.folder / "old").mkdir(parents=True)
    make([tree])
    assert {path.name for path in tree.folder.iterdir()} == {"tree", "bin"}
    assert [path.name for path in tree.folder.parent.iterdir()] == ["some"]


def test_what_will_be_fetched_is_named_with_its_size_and_what_cannot_be_with_its_reason(tree: Tree) -> None:
    other = Tree("other", "Other", Folder("a cellar"), {}, "2 MB")
    told = announcement([tree, other])
    assert "Some with its libraries, from a folder: 1 MB" in told
    assert "Other is fetched from a folder, which takes a cellar; tests that need it are skipped." in told
    make([other])
    assert not other.folder.parent.exists()


def test_each_says_what_it_takes() -> None:
    assert all("to fetch" in tree.size and "on the disk" in tree.size for tree in ALL)


def test_npm_is_asked_only_where_it_is_and_knows_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert Npm("some", "1.0").lacks() == "npm"
    (tmp_path / "npm").touch(mode=0o755)
    assert not Npm("some", "1.0").lacks()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "a processor" in Npm("some", "1.0").lacks()


def test_they_are_chosen_by_the_names_of_their_engines() -> None:
    assert [tree.title for tree in named(["redis", "postgresql_17", "oracle_mysql"])] == ["MySQL", "PostgreSQL 17"]
