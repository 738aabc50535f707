"""A virtual environment per peer, with the versions that ``requirements/`` names."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.requests.variants import OURS

REQUIREMENTS = Path(__file__).with_name("requirements")
FOLDER = Path(__file__).resolve().parents[1] / ".environments"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a variant runs.

    Attributes:
        python: The interpreter.
        variables: The environment variables of its processes.
    """

    python: str
    variables: dict[str, str]


def this_environment() -> Environment:
    """Return the one that this process runs in."""
    return Environment(sys.executable, _variables(os.environ.get("PYTHONPATH")))


def made(name: str, checkout: Path) -> Environment:
    """Make a variant's environment unless it is there as it must be, and return it.

    Args:
        name: Of its file in ``requirements/``.
        checkout: The source of ours, installed editable.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    requirements = REQUIREMENTS / f"{name}.txt"
    pinned = hashlib.sha256(requirements.read_bytes()).hexdigest()
    packages, source = ["-r", str(requirements)], ""
    if name == OURS:
        packages = [
            "-c",
            str(requirements),
            "uvicorn",
            "uvloop",
            "httptools",
            "-e",
            f"{checkout}[sqlite,mysql,fastapi]",
        ]
        source = f"{checkout} {hashlib.sha256((checkout / 'pyproject.toml').read_bytes()).hexdigest()}"
    stamp = folder / ".installed"
    installed = stamp.read_text().splitlines() if stamp.exists() else []
    if installed != [pinned, source]:
        print(f"environment {name} is being made", file=sys.stderr)
        if installed[:1] != [pinned]:  # else it is another checkout that the same packages serve
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        stamp.write_text(f"{pinned}\n{source}\n")
    return Environment(str(python), _variables(None))


def _variables(python_path: str | None) -> dict[str, str]:
    # Settings of ours in the caller's environment must not change what is measured.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASGI_SESSIONS_", "PYTHON"))}
    return kept | ({"PYTHONPATH": python_path} if python_path else {})
