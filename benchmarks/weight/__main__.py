"""``python -m benchmarks.weight``: what importing the package costs, over what its applications import anyway."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.machine import description
from benchmarks.measuring import Samples, turns
from benchmarks.plots import Bars
from benchmarks.report import Report
from benchmarks.weight.imports import loaded_heavily, modules_of, once, self_times

ROOT = Path(__file__).parents[2]

STARLETTE = ("starlette.applications", "sqlalchemy.ext.asyncio")
FASTAPI = ("fastapi", "sqlalchemy.ext.asyncio")
VARIANTS: Mapping[str, Sequence[str]] = {
    "nothing": (),
    "starlette, sqlalchemy": STARLETTE,
    "asgi_sessions": (*STARLETTE, "asgi_sessions"),
    "fastapi, sqlalchemy": FASTAPI,
    "asgi_sessions.fastapi": (*FASTAPI, "asgi_sessions.fastapi"),
}
OVER = {"asgi_sessions": "starlette, sqlalchemy", "asgi_sessions.fastapi": "fastapi, sqlalchemy"}
QUANTITIES = ("CPU ms", "ms", "MB", "private MB", "modules")
TOP = 25


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weight", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="processes for each variant (30)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="a trial of one round; its figures mean nothing")
    parsed = parser.parse_args(argv)
    if parsed.quick:
        parsed.rounds = 1
    return parsed


def weigh(report: Report, rounds: int) -> None:
    """Time and memory of each variant, and what the package adds."""
    samples = Samples()
    once([module for modules in VARIANTS.values() for module in modules])  # compiles, and reads the files into memory
    for number, name in turns(list(VARIANTS), rounds):
        samples.add(number, name, once(VARIANTS[name]))
    rows = [[name, *(samples.spread(name, quantity).text() for quantity in QUANTITIES)] for name in VARIANTS]
    headings = ["imported", "CPU ms", "ms", "resident MB", "of these private", "modules"]
    report.table("Imports, over a bare interpreter", headings, rows)
    report.text(
        "`starlette, sqlalchemy` and `fastapi, sqlalchemy` are what the package's applications need anyway: "
        f"`{', '.join(STARLETTE)}` and `{', '.join(FASTAPI)}`."
    )
    added = {
        name: {quantity: samples.difference(name, base, quantity) for quantity in QUANTITIES}
        for name, base in OVER.items()
    }
    rows = [[f"{name} over {OVER[name]}", *(spread.text() for spread in each.values())] for name, each in added.items()]
    report.table("What the package adds", headings, rows)
    bars = {name: samples.spread(name, "CPU ms") for name in VARIANTS if name != "nothing"}
    report.plot("time", Bars("Time of an import", "CPU ms", bars, frozenset(OVER)))
    report.results["added"] = {
        name: {quantity: spread.as_json() for quantity, spread in each.items()} for name, each in added.items()
    }
    report.results["rounds"] = samples.as_json()


def contributors(report: Report, rounds: int) -> None:
    """What takes the time that the package adds: self times of the modules that its base does not have."""
    report.results["contributors"] = {}
    for name, base in OVER.items():
        new = modules_of(VARIANTS[name]) - modules_of(VARIANTS[base])
        runs = [self_times(VARIANTS[name]) for _ in range(rounds)]
        # These times are the clock's; the least of some runs has the least of what else goes on in it.
        times = {module: min(run.get(module, 0.0) for run in runs) for module in new}
        packages: defaultdict[str, list[float]] = defaultdict(list)
        for module, milliseconds in times.items():
            packages[module.partition(".")[0]].append(milliseconds)
        rows = _longest((package, sum(each), len(each)) for package, each in packages.items())
        report.table(f"Whose modules {name} adds", ["package", "ms of their own", "modules"], rows)
        rows = _longest((module, milliseconds, 1) for module, milliseconds in times.items())
        report.table(
            f"The slowest modules that {name} adds", ["module", "ms of its own"], [cells[:2] for cells in rows]
        )
        report.results["contributors"][name] = dict(sorted(times.items(), key=lambda item: -item[1]))


def _longest(found: Iterable[tuple[str, float, int]]) -> list[list[str]]:
    ranked = sorted(found, key=lambda item: -item[1])[:TOP]
    return [[name, f"{milliseconds:.2f}", str(count)] for name, milliseconds, count in ranked]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the results, and tell by the exit status whether something was loaded that should not be."""
    options = arguments(argv)
    machine = description("python -m benchmarks.weight", ROOT)
    report = Report("weight", "The weight of an import", machine, {"rounds": options.rounds})
    loaded = loaded_heavily(["asgi_sessions"])
    report.text(f"`import asgi_sessions` loads {', '.join(loaded) or 'no FastAPI, no Alembic, no database driver'}.")
    report.results["loaded needlessly"] = loaded
    weigh(report, options.rounds)
    contributors(report, max(1, options.rounds // 3))
    report.write(options.results)
    print(report.markdown())
    if loaded:
        print(f"LOADED NEEDLESSLY: {', '.join(loaded)}", file=sys.stderr)
    return 1 if loaded else 0


if __name__ == "__main__":
    sys.exit(main())
