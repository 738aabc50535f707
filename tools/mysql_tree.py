"""Oracle's MySQL, which Debian has in unstable alone: its packages, unpacked into `.engines/mysql`, not installed.

python3 -m tools.mysql_tree

apt fetches them, with a configuration of its own: it checks Debian's signatures, and finds what MySQL depends on. The
system's libraries may be older, so that the programs run with those of the tree, by its own dynamic loader.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import progress
from tools.bare import host

FOLDER = Path(__file__).parents[1] / ".engines" / "mysql"
PROGRAMS = FOLDER / "bin"
"""Where ``oracle-mysqld`` and ``oracle-mysql`` are; MariaDB has programs of the same names without ``oracle-``."""
PACKAGES = "mysql-server-core", "mysql-client-core"
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
SIZE = "MySQL and its libraries: 60 packages, 66 MB to fetch, 410 MB on the disk"
WRAPPER = """#!/bin/sh
exec {loader} --library-path {libraries} {program} {options} "$@"
"""


def can_be_made() -> bool:
    """Whether this is Debian: root is not needed."""
    try:
        return bool(host.mirrors().main)
    except (OSError, subprocess.CalledProcessError, host.NoMirror):
        return False


def announcement() -> str:
    """What ``make`` says before."""
    if can_be_made():
        return f"From Debian unstable, unpacked into {FOLDER} and not installed:\n    {SIZE}"
    return "MySQL is fetched from Debian unstable, which takes Debian; tests that need it are skipped."


def make() -> None:
    """Fetch and unpack; what was there before goes.

    Raises:
        CommandFailed: apt or dpkg did.
        NoMirror: apt here knows no mirror of Debian.
    """
    unfinished = FOLDER.with_suffix(".unfinished")
    for folder in (unfinished, FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    work = unfinished / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {host.mirrors().main} sid main\n")
    (work / "apt.conf").write_text(CONFIGURATION.format(work=work))
    variables = os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
    progress.run("Fetching the lists of Debian unstable", ["apt-get", "update", "-q"], environment=variables)
    fetch = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only", *PACKAGES]
    progress.run("Fetching MySQL and its libraries", fetch, environment=variables)
    for package in sorted((work / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(unfinished / "tree")], check=True)
    shutil.rmtree(work)
    unfinished.rename(FOLDER)
    _write_programs()


def _write_programs() -> None:
    usr = FOLDER / "tree" / "usr"
    (loader,) = usr.glob("lib/*/ld-linux*.so.*")
    paths = {"basedir": usr, "lc-messages-dir": usr / "share/mysql", "plugin-dir": usr / "lib/mysql/plugin"}
    server_options = " ".join(["--no-defaults", *(f"--{name}={path}" for name, path in paths.items())])
    PROGRAMS.mkdir()
    for name, place, options in (("mysqld", "sbin/mysqld", server_options), ("mysql", "bin/mysql", "")):
        wrapper = PROGRAMS / f"oracle-{name}"
        command = WRAPPER.format(loader=loader, libraries=loader.parent, program=usr / place, options=options)
        wrapper.write_text(command)
        wrapper.chmod(0o755)


if __name__ == "__main__":
    try:
        make()
    except (progress.CommandFailed, host.NoMirror) as failure:
        sys.exit(str(failure))
