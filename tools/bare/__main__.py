"""`make run` and `make test` on Debian 12, 13 and unstable with nothing prepared: `make test-bare`.

Needs root, which must be allowed to mount. Trees, logs, packages and results stay in `.bare` for the next run.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from tools import progress
from tools.bare import report
from tools.bare.host import NoMirror
from tools.bare.steps import MINUTES, Step, run_step, steps_named
from tools.bare.systems import FOLDER, SYSTEMS, System


def main() -> None:
    parser = argparse.ArgumentParser(prog="make test-bare", description=__doc__)
    parser.add_argument("systems", nargs="*", help=f"by default {' '.join(system.codename for system in SYSTEMS)}")
    parser.add_argument("--only", choices=("run", "test"), help="one of the two commands")
    parser.add_argument("--engine", help="the tests of this engine alone, in place of make test")
    parser.add_argument("--missing", action="store_true", help="only what has no good result yet")
    parser.add_argument("--fresh", action="store_true", help="build the systems anew")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which a command is given up")
    given = parser.parse_args()

    if os.geteuid() != 0:
        sys.exit("make test-bare needs root: it builds systems with debootstrap, mounts them and runs in them.")
    begun = time.monotonic()
    systems = named(given.systems)
    steps = steps_named(given.only, given.engine)
    try:
        for system in systems:
            if given.fresh or not system.is_built:
                system.build()
            for step in steps:
                if not (given.missing and is_good(system, step)):
                    run_step(system, step, given.minutes).save(path_of(system, step))
    except (progress.CommandFailed, NoMirror) as failure:
        sys.exit(str(failure))
    finally:
        results = [report.Result.load(path) for path in sorted((FOLDER / "results").glob("*.json"))]
        (FOLDER / "report.md").write_text(report.table(results) + "\n")
    mine = [report.Result.load(path_of(system, step)) for system in systems for step in steps]
    print(report.table(mine))
    print(f"\nTook {(time.monotonic() - begun) / 60:.0f} minutes. All results so far: {FOLDER / 'report.md'}")
    print(f"What was printed: {FOLDER / 'logs'}")
    sys.exit(any(result.problems for result in mine))


def named(names: list[str]) -> list[System]:
    """By codename, or by the last word of the title: 12, unstable."""
    known = {name: system for system in SYSTEMS for name in (system.codename, system.title.split()[-1])}
    if unknown := set(names) - set(known):
        sys.exit(f"There is no system {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    return [known[name] for name in names] or list(SYSTEMS)


def path_of(system: System, step: Step) -> Path:
    return FOLDER / "results" / f"{system.codename}-{step.name}.json"


def is_good(system: System, step: Step) -> bool:
    path = path_of(system, step)
    return path.exists() and not report.Result.load(path).problems


if __name__ == "__main__":
    main()
