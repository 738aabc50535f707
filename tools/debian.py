"""Installs Debian's packages: few, and none of their services is started or enabled."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tools import progress

ETC = Path("/etc")
POLICY = Path("/usr/sbin/policy-rc.d")
KEPT_POLICY = POLICY.with_name("policy-rc.d.kept-while-installing")
DENYING = "#!/bin/sh\n# Written by asgi_sessions' make while it installs, and removed afterwards.\nexit 101\n"
SYSTEMD = Path("/usr/lib/systemd/systemd"), Path("/lib/systemd/systemd")
WITHOUT_SYSTEMD = {"chromium": "dbus-x11", "postgresql": "systemd-standalone-tmpfiles"}
"""Where there is no systemd: what satisfies dependencies that would bring it, and with it what starts at boot."""
OLDER_NAMES = {"webkitgtk-webdriver": "webkit2gtk-driver"}
"""What Debian 12 calls a package."""
_QUIET = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What apt says beforehand.

    Attributes:
        count: Packages, with all that they depend on.
        fetched: What is fetched, as apt writes it: ``273 MB``.
        kept: What it takes on the disk.
    """

    count: int
    fetched: str
    kept: str


def may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def update() -> None:
    """Fetch the lists of packages."""
    progress.run("Fetching Debian's lists of packages", ["apt-get", "update", "-q"], environment=_QUIET)


def names_here(packages: Sequence[str]) -> tuple[str, ...]:
    """Name packages as this Debian does."""
    return tuple(
        OLDER_NAMES[package] if package in OLDER_NAMES and not _is_known(package) else package for package in packages
    )


def estimate(packages: Sequence[str]) -> Estimate:
    """Ask what installing these would mean."""
    command = [*_install_command(packages), "--assume-no"]
    told = subprocess.run(command, capture_output=True, text=True, env=_QUIET, check=False).stdout

    def found(pattern: str) -> str:
        number = re.search(pattern, told)
        return str(number[1]) if number else "?"

    count = found(r"(\d+) newly installed")
    return Estimate(
        int(count) if count != "?" else len(packages),
        found(r"Need to get (?:[\d.,]+ [kMG]?B/)?([\d.,]+ [kMG]?B)"),
        found(r"After this operation, ([\d.,]+ [kMG]?B)"),
    )


def install(packages: Sequence[str]) -> None:
    """Install packages; services that come along are neither started now nor enabled for the next boot.

    Raises:
        CommandFailed: apt did.
    """
    with services_asleep():
        title = f"Installing {len(packages)} of Debian's packages, and what they depend on"
        progress.run(title, [*_install_command(packages), "-y"], environment=_QUIET)


def _install_command(packages: Sequence[str]) -> list[str]:
    wanted = [*packages]
    if not any(path.exists() for path in SYSTEMD):
        wanted += [small for package, small in WITHOUT_SYSTEMD.items() if package in packages and _is_known(small)]
    options = ["-q", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=600"]
    return ["apt-get", "install", *options, *wanted]


def _is_known(package: str) -> bool:
    """Whether there is such a package: of a name that others only refer to, apt says nothing, and calls that well."""
    told = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return told.returncode == 0 and bool(told.stdout.strip())


@contextmanager
def services_asleep() -> Iterator[None]:
    """For an installation: no service starts meanwhile, and afterwards none is enabled that was not before."""
    before = _enabled()
    _restore_policy()  # of a run that was killed
    if POLICY.exists():
        POLICY.rename(KEPT_POLICY)
    POLICY.write_text(DENYING)
    POLICY.chmod(0o755)
    previous = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        _restore_policy()
        _disable(_enabled() - before)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _restore_policy() -> None:
    if POLICY.exists() and POLICY.read_text() == DENYING:
        POLICY.unlink()
    if KEPT_POLICY.exists():
        KEPT_POLICY.rename(POLICY)


def _stop(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _enabled() -> set[Path]:
    """What starts services at boot: links, of systemd and of the older init."""
    return {*ETC.glob("systemd/system/*.wants/*"), *ETC.glob("rc[S2345].d/S*")}


def _disable(links: set[Path]) -> None:
    for name in sorted({re.sub(r"^S\d+", "", link.name) for link in links if link.parent.name.startswith("rc")}):
        subprocess.run(["update-rc.d", name, "disable"], check=True, capture_output=True)
    for link in links:
        if link.parent.name.endswith(".wants"):
            link.unlink(missing_ok=True)  # all that `systemctl disable` does, where there may be no systemctl
