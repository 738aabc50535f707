"""Installs what a target of the Makefile needs and does not find, and says so first.

python3 -m tools.install --target test --venv .venv --extra dev --engines "mariadb postgresql"
"""

import argparse
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tools import debian, progress, trees
from tools.engines import CLUSTER_ENGINES, ENGINES, Engine

PROJECT = Path(__file__).parents[1]
PYPROJECT = PROJECT / "pyproject.toml"
EXTRAS = {
    "example": "the example application, and the server that it runs on: about 40 packages, 80 MB",
    "core": "the library with every driver, and what the tests of it alone need: about 65 packages, 200 MB",
    "dev": "the library with every driver, servers, pytest, mypy, ruff and others: about 110 packages, 430 MB",
    "test": "the library with every driver, pytest, mypy, ruff, and the servers and frameworks that the tests drive: "
    "about 165 packages, 860 MB, Gradio the largest",
    "benchmarks": "the library, and what measures and draws: about 45 packages, 200 MB",
}
INCLUDING = {"example": ("dev", "test"), "core": ("dev", "test"), "dev": ("test",)}
"""Extras that hold all of another one."""


class Environment:
    """A virtual environment with an extra of the project, as ``pip install -e '.[extra]'`` makes it.

    Args:
        folder: Where.
        extra: Its name.
        lowest: Whether to install the lowest versions that pyproject.toml allows.
    """

    def __init__(self, folder: Path, extra: str, *, lowest: bool = False) -> None:
        self.folder = folder
        self.extra = extra
        self.lowest = lowest

    @property
    def is_up_to_date(self) -> bool:
        required = PYPROJECT.stat().st_mtime
        stamps = [self._stamp(extra) for extra in (self.extra, *INCLUDING.get(self.extra, ()))]
        return any(stamp.exists() and stamp.stat().st_mtime >= required for stamp in stamps)

    @property
    def lacks_venv(self) -> bool:
        """Debian's Python comes without ensurepip, with which an environment gets its pip."""
        return not self._has_pip and find_spec("ensurepip") is None

    def make(self) -> None:
        """Make it, or bring it up to date.

        Raises:
            CommandFailed: venv or pip did. Of the lowest versions pip says which cannot be had together.
        """
        if not self._has_pip:
            command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
            progress.run(f"Making {self.folder}", command)
        pip = [str(self.folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        with tempfile.NamedTemporaryFile("w", prefix="lowest-", suffix=".txt") as pins:
            if self.lowest:
                pins.write("".join(f"{pin}\n" for pin in lowest_versions(PYPROJECT.read_text())))
                pins.flush()
                pip += ["-c", pins.name]
            progress.run(f"Installing into {self.folder}", [*pip, "--progress-bar", "off", "-e", f".[{self.extra}]"])
        self._stamp(self.extra).touch()

    def _stamp(self, extra: str) -> Path:
        return self.folder / f".installed-{extra}{'-lowest' if self.lowest else ''}"

    @property
    def _has_pip(self) -> bool:
        return (self.folder / "bin" / "pip").exists()


def lowest_versions(pyproject: str) -> list[str]:
    """Return what pins each requirement, and each of the extras, to its bound: ``starlette==0.49``, for pip's ``-c``.

    Raises:
        ValueError: A requirement has no lower bound, or more than that.
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"].values()
    requirements = {requirement for group in (project["dependencies"], *extras) for requirement in group}
    pins = set()
    for requirement in requirements:
        if requirement.startswith(f"{project['name']}["):
            continue
        parts = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)", requirement)
        if parts is None:
            raise ValueError(f"pyproject.toml: {requirement} must have a lower bound, and nothing else")
        pins.add(f"{parts[1]}=={parts[2]}")
    return sorted(pins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="of the Makefile")
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--extra", choices=EXTRAS)
    parser.add_argument("--lowest", action="store_true", help="the lowest versions that pyproject.toml allows")
    parser.add_argument("--engines", default="", help="their names, or all")
    given = parser.parse_args()

    environment = Environment(given.venv, given.extra, lowest=given.lowest) if given.venv else None
    if environment is not None and environment.is_up_to_date:
        environment = None
    try:
        provide(given.target, environment, engines_named(given.engines))
    except progress.CommandFailed as failure:
        sys.exit(str(failure))


def engines_named(names: str) -> list[Engine]:
    """The engines that are named, in the order of the list; `all` are those of ``make test``."""
    known = {engine.name: engine for engine in (*ENGINES, *CLUSTER_ENGINES)}
    wanted = {engine.name for engine in ENGINES} if names == "all" else set(names.replace(",", " ").split())
    if unknown := wanted - set(known):
        sys.exit(f"There is no engine {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    return [engine for name, engine in known.items() if name in wanted]


def provide(target: str, environment: Environment | None, engines: list[Engine]) -> None:
    """Say what is missing, and install it."""
    missing = [engine for engine in engines if engine.missing_programs()]
    needs = {engine.packages: f"{engine.title}, for tests of {engine.purpose}" for engine in missing if engine.packages}
    unpacks = trees.named([engine.name for engine in missing])
    if environment is not None and environment.lacks_venv:
        needs = {("python3-venv",): "makes environments for Python"} | needs
    if environment is None and not needs and not unpacks:
        return
    packages = [package for group in needs for package in group]
    installs = bool(packages) and debian.may_install()
    if installs:
        debian.update()
        needs = {debian.names_here(group): purpose for group, purpose in needs.items()}
        packages = [package for group in needs for package in group]
    announce(target, environment, needs, installs=installs, unpacks=unpacks)
    if installs:
        debian.install(packages)
    trees.make(unpacks)
    if installs:
        if still := [engine.title for engine in missing if engine.packages and engine.missing_programs()]:
            sys.exit(f"{', '.join(still)}: installed, and not found by tools/engines.py afterwards.")
    elif environment is not None and environment.lacks_venv:
        sys.exit(f"{sys.executable} cannot make environments: its module ensurepip is missing (Debian: python3-venv).")
    if environment is not None:
        environment.make()


def announce(
    target: str,
    environment: Environment | None,
    needs: dict[tuple[str, ...], str],
    *,
    installs: bool,
    unpacks: Sequence[trees.Tree] = (),
) -> None:
    print(f"make {target} needs what is not here yet.")
    packages = [package for group in needs for package in group]
    if installs:
        size = debian.estimate(packages)
        print("From Debian, without starting or enabling any service:")
        for group, purpose in needs.items():
            print(f"    {', '.join(group):42} {purpose}")
        print(f"    {size.count} packages with what they depend on: {size.fetched} to fetch, {size.kept} on the disk")
    elif needs:
        print("These are not installed, since that takes Debian and root; tests that need them are skipped:")
        for group, purpose in needs.items():
            print(f"    {', '.join(group):42} {purpose}")
        print("    As root: make engines")
    if unpacks:
        print(trees.announcement(unpacks))
    if environment is not None:
        versions = ", in the lowest versions that pyproject.toml allows" if environment.lowest else ""
        print(f"With pip, into {environment.folder}{versions}:\n    {EXTRAS[environment.extra]}")
    if target == "test":
        print("Without any engine, in a minute: make test-fast. With some: make test ENGINES='mariadb redis'.")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
