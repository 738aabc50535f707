"""Where and with what a benchmark ran, as far as it bears upon its figures."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("starlette", "fastapi", "pyjwt", "sqlalchemy", "uvicorn", "asyncmy", "aiosqlite")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of those of these distributions that this environment has."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def description(command: str, checkout: Path, packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Describe the run.

    Args:
        command: The program as it is called: ``python -m benchmarks.requests``. The arguments are added.
        checkout: The folder of the source that is measured.
        packages: Whose versions matter.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join([*command.split(), *sys.argv[1:]]),
        "commit": _commit(checkout),
        "cpu": f"{_cpu_model()}, {os.cpu_count()} logical",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions(packages),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
