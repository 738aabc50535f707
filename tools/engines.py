"""What the tests use of the system: servers, browsers, curl and npm; their programs, and Debian's packages of them."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

POSTGRESQL_FOLDERS = "usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"
"""Debian's and Red Hat's, one for each version: they are not on the PATH."""
WEBKITGTK_FOLDERS = "usr/lib/*/webkit2gtk-4.1", "usr/libexec/webkit2gtk-4.1"
"""Debian's and Red Hat's, of the small browser that comes with the library."""
GALERA_FOLDERS = "usr/lib/galera", "usr/lib64/galera-4"
"""Debian's and Red Hat's."""
TREES = Path(__file__).parents[1] / ".engines"
"""Where tools/trees.py puts versions that the system does not have."""
GALERA_VERSION = """
import pathlib, re, sys
library, *_ = (found for folder in sys.argv[1:] for found in pathlib.Path("/", folder).glob("libgalera_smm.so"))
print("26." + re.search(rb"(4[.][0-9]+)[(]r", library.read_bytes())[1].decode())
"""
"""A library has nothing to ask: the number is in it."""
WEBKITGTK_VERSION = """
from ctypes import CDLL
library = CDLL("libwebkit2gtk-4.1.so.0")
print(*(getattr(library, f"webkit_get_{part}_version")() for part in ("major", "minor", "micro")), sep=".")
"""
"""Its programs tell theirs on a screen alone."""

ALSO_CALLED: dict[str, tuple[str, ...]] = {
    "mariadbd": ("mysqld",),
    "mariadb": ("mysql",),
    "mariadb-install-db": ("mysql_install_db",),
    "redis-server": ("valkey-server",),
    "redis-cli": ("valkey-cli",),
    "firefox-esr": ("firefox",),
}


class ProgramMissing(Exception):
    """A program is not installed."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that tests need besides Python.

    Attributes:
        name: Of the marker that its tests have, and of the fixture that starts it.
        title: As its makers write it.
        programs: All that tests call.
        packages: Debian's. Servers come without what starts them at boot, where Debian parts the two. Empty where
            tools/trees.py unpacks it.
        purpose: What is tested with it.
        version_command: What prints the version; by default the first of the programs, if asked so.
    """

    name: str
    title: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    purpose: str
    version_command: tuple[str, ...] = ()

    def missing_programs(self) -> list[str]:
        """Return which of the programs are not installed."""
        missing = []
        for program in self.programs:
            try:
                find_program(program)
            except ProgramMissing:
                missing.append(program)
        return missing

    def version(self) -> str:
        """Ask which version it is."""
        command = self.version_command or (find_program(self.programs[0]), "--version")
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        number = re.search(r"(?<![\w./-])\d+(\.\d+)+", told)  # not in a path
        return str(number[0] if number else told).strip()


ENGINES = (
    Engine(
        "mariadb",
        "MariaDB",
        ("mariadbd", "mariadb-install-db", "mariadb"),
        ("mariadb-server-core", "mariadb-client-core"),
        "sessions on MariaDB and MySQL",
    ),
    Engine(
        "postgresql",
        "PostgreSQL",
        ("postgres", "initdb", "psql"),
        ("postgresql",),
        "sessions on PostgreSQL",
    ),
    Engine(
        "pgbouncer",
        "PgBouncer",
        ("pgbouncer",),
        ("pgbouncer",),
        "sessions on PostgreSQL through a pooler",
    ),
    Engine(
        "redis",
        "Redis",
        ("redis-server", "redis-cli"),
        ("redis-server",),
        "news of logouts by Redis",
    ),
    Engine(
        "chromium",
        "Chromium",
        ("chromium", "chromedriver"),
        ("chromium", "chromium-driver"),
        "cookies and pages in a real browser",
    ),
    Engine(
        "firefox",
        "Firefox",
        ("firefox-esr",),
        ("firefox-esr",),
        "cookies of other sites' pages and frames in a second browser",
    ),
    Engine(
        "webkitgtk",
        "WebKitGTK",
        ("WebKitWebDriver", "MiniBrowser", "Xvfb"),
        ("webkitgtk-webdriver", "xvfb"),
        "and in a third, of Safari's kind",
        (sys.executable, "-c", WEBKITGTK_VERSION),
    ),
    Engine(
        "nginx",
        "nginx",
        ("nginx",),
        ("nginx",),
        "browsers before a proxy with TLS and HTTP/2",
        ("sh", "-c", "PATH=$PATH:/usr/sbin nginx -v 2>&1 | tr / ' '"),
    ),
    Engine(
        "haproxy",
        "HAProxy",
        ("haproxy",),
        ("haproxy",),
        "the same, and one address for several database servers",
        ("sh", "-c", "PATH=$PATH:/usr/sbin haproxy -v"),
    ),
    Engine(
        "curl",
        "curl",
        ("curl",),
        ("curl",),
        "the example's tour by command line",
    ),
    Engine(
        "node",
        "Node.js",
        ("node",),
        ("nodejs",),
        "the browser helper outside browsers",
    ),
    Engine(
        "npm",
        "npm",
        ("npm",),
        ("npm",),
        "axe-core, which checks the pages for everybody's use",
    ),
)


CLUSTER_ENGINES = (
    Engine(
        "galera",
        "Galera",
        ("libgalera_smm.so", "mariadbd", "mariadb-install-db", "mariadb"),
        ("galera-4", "mariadb-server-core", "mariadb-client-core"),
        "sessions on a cluster of MariaDB",
        (sys.executable, "-c", GALERA_VERSION, *GALERA_FOLDERS),
    ),
    Engine(
        "oracle_mysql",
        "MySQL",
        ("oracle-mysqld", "oracle-mysql"),
        (),
        "sessions on MySQL, and on a group of it",
    ),
    Engine(
        "mariadb_11_8",
        "MariaDB 11.8",
        ("mariadbd-11.8", "mariadb-install-db-11.8", "mariadb-11.8", "mariadb-upgrade-11.8"),
        (),
        "sessions on MariaDB of Debian 13",
    ),
    Engine(
        "postgresql_16",
        "PostgreSQL 16",
        ("postgres-16", "initdb-16", "psql"),
        (),
        "sessions on PostgreSQL between Debian's",
    ),
    Engine(
        "postgresql_17",
        "PostgreSQL 17",
        ("postgres-17", "initdb-17", "psql-17"),
        (),
        "sessions on PostgreSQL of Debian 13",
    ),
    Engine(
        "postgresql_18",
        "PostgreSQL 18",
        ("postgres-18", "initdb-18", "psql-18"),
        (),
        "sessions on the newest PostgreSQL",
    ),
)
"""What `make test-engines` tests, and `make test` does not ask for."""


def postgresql_folders(root: Path = Path("/")) -> list[str]:
    """Where PostgreSQL's programs are, whatever its version; the newest first."""

    def version(folder: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", str(folder.relative_to(root)))]

    found = [folder for pattern in POSTGRESQL_FOLDERS for folder in root.glob(pattern)]
    return [str(folder) for folder in sorted(found, key=version, reverse=True)]


def webkitgtk_folders() -> list[str]:
    """Where the browser for tests is: it is not on the PATH either."""
    return [str(folder) for pattern in WEBKITGTK_FOLDERS for folder in Path("/").glob(pattern)]


def find_program(name: str) -> str:
    """Return where this program, or another that does the same, is installed.

    Raises:
        ProgramMissing: It is not.
    """
    galera = [str(folder) for pattern in GALERA_FOLDERS for folder in Path("/").glob(pattern)]
    trees = [str(folder) for folder in TREES.glob("*/bin")]
    folders = ("/usr/sbin", "/usr/local/bin", *postgresql_folders(), *webkitgtk_folders(), *galera, *trees)
    path = os.pathsep.join((os.environ.get("PATH", ""), *folders))
    for alternative in (name, *ALSO_CALLED.get(name, ())):
        mode = os.F_OK if name.endswith(".so") else os.F_OK | os.X_OK
        if (found := shutil.which(alternative, mode, path)) is not None:
            return found
    raise ProgramMissing(f"{name} is not installed")
