"""What an import costs: a fresh process each time, which tells about itself."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FORBIDDEN", "loaded_heavily", "modules_of", "once", "self_times"]

ROOT = Path(__file__).parents[2]
FORBIDDEN = frozenset(
    {"aiosqlite", "alembic", "asyncmy", "asyncpg", "fastapi", "httpx", "httpx2", "pymysql", "redis", "uvicorn"}
)
"""What an application that only imports the package has no need of."""

MEASURE = """
import sys, time
def resident():
    with open("/proc/self/status") as status:
        return {{line.split(":")[0]: int(line.split()[1]) for line in status if line.startswith(("VmRSS", "RssAnon"))}}
before, count, start, used = resident(), len(sys.modules), time.perf_counter(), time.process_time()
{statements}
seconds, used = time.perf_counter() - start, time.process_time() - used
after, modules = resident(), len(sys.modules) - count
import json
print(json.dumps({{
    "CPU ms": used * 1000,
    "ms": seconds * 1000,
    "MB": (after["VmRSS"] - before["VmRSS"]) / 1000,
    "private MB": (after["RssAnon"] - before["RssAnon"]) / 1000,
    "modules": modules,
}}))
"""


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Where the package is looked for, and without what else the environment may hold for Python.
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )


def _statements(modules: Sequence[str]) -> str:
    return f"import {', '.join(modules)}" if modules else "pass"


def once(modules: Sequence[str]) -> dict[str, float]:
    """Import them in a new process, from compiled files; time, memory and the number of modules that this adds."""
    measured: dict[str, float] = json.loads(_python("-c", MEASURE.format(statements=_statements(modules))).stdout)
    return measured


def modules_of(modules: Sequence[str]) -> set[str]:
    """Everything that is loaded once these are."""
    return set(_python("-c", f"import sys\n{_statements(modules)}\nprint(*sys.modules)").stdout.split())


def loaded_heavily(modules: Sequence[str]) -> list[str]:
    """What these load though an application may well do without."""
    return sorted({name.partition(".")[0] for name in modules_of(modules)} & FORBIDDEN)


def self_times(modules: Sequence[str]) -> dict[str, float]:
    """The ms that each module's own code takes at its import, without what it imports in turn."""
    lines = _python("-X", "importtime", "-c", _statements(modules)).stderr.splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        if match := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", line):
            found[match[2]] += int(match[1])
    return {name: microseconds / 1000 for name, microseconds in found.items()}
