"""``python -m benchmarks.requests``: see ``--help``."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import machine
from benchmarks.report import Report
from benchmarks.requests import findings
from benchmarks.requests.environments import made, this_environment
from benchmarks.requests.in_process import InProcess
from benchmarks.requests.load import has_wrk
from benchmarks.requests.over_http import OverHttp
from benchmarks.requests.services import Services, missing
from benchmarks.requests.variants import VARIANTS, chosen

ROOT = Path(__file__).resolve().parents[2]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests", description="What a session costs each request, beside the peers."
    )
    parser.add_argument("--rounds", type=int, help="how often each variant has its turn (default 11)")
    parser.add_argument(
        "--requests", type=int, help="per turn, in process (default 2000; a tenth where a server waits)"
    )
    parser.add_argument("--seconds", type=float, help="per turn, over HTTP (default 2)")
    parser.add_argument(
        "--pool", type=int, help="prepared sessions for new-token over HTTP (default 6000), a tenth for refresh"
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds, few requests: to see that it works")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these variants, perhaps with *")
    parser.add_argument("--part", choices=["in-process", "http", "both"], default="both", help="default both")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="a folder")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the source of ours that is measured")
    parser.add_argument("--here", action="store_true", help="in this environment, without making any")
    parser.add_argument("--list", action="store_true", help="print the variants, and end")
    options = parser.parse_args(given)
    defaults = (2, 100, 0.3, 200) if options.quick else (11, 2000, 2.0, 6000)
    for name, default in zip(("rounds", "requests", "seconds", "pool"), defaults, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, default)
    try:
        options.variants = chosen(options.only)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(given: Sequence[str] | None = None) -> Report | None:
    """Run the benchmark and write its report."""
    options = arguments(given)
    if options.list:
        for variant in VARIANTS:
            print(f"{variant.name:42} {variant.framework}: {variant.journey.value}")
        return None
    variants = []
    for variant in options.variants:
        if (server := missing(variant)) is None:
            variants.append(variant)
        else:
            print(f"{variant.name} is left out: {server} is not installed", file=sys.stderr)
    checkout = options.checkout.resolve()
    names = dict.fromkeys(variant.environment for variant in variants)
    environments = {name: this_environment() if options.here else made(name, checkout) for name in names}
    report = Report(
        name="requests",
        title="What a session costs each request",
        machine=machine.description("python -m benchmarks.requests", checkout, packages=()),
        parameters={
            "rounds": options.rounds,
            "requests per turn": options.requests,
            "seconds per turn over HTTP": options.seconds,
            "load generator": "wrk" if has_wrk() else "Python",
        },
    )
    findings.legend(report, variants)
    with ExitStack() as stack:
        services = Services(stack)
        if options.part != "http":
            inside = InProcess(variants, environments, services, options.requests)
            samples = inside.run(options.rounds, partial(_progress, "in process"))
            findings.in_process(report, variants, samples)
            findings.versions(report, inside.versions)
        if options.part != "in-process":
            outside = OverHttp(variants, environments, services, options.seconds, options.pool)
            samples = outside.run(options.rounds, partial(_progress, "over HTTP"))
            findings.over_http(report, variants, samples)
    report.write(options.results)
    return report


def _progress(part: str, number: int, rounds: int, variant: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{part}, round {number + 1} of {rounds}: {variant}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    written = main()
    if written is not None:
        print(written.markdown())
