"""``python -m benchmarks.load``: sessions from login to logout, by many people at once, on two workers and MariaDB."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.load import findings
from benchmarks.load.findings import Phase
from benchmarks.load.journal import Journal
from benchmarks.load.person import Pace, Person
from benchmarks.load.site import Site
from benchmarks.load.watching import Meter, Reading
from benchmarks.machine import description
from benchmarks.report import Report
from benchmarks.store.server import RoomyMariaDB

ROOT = Path(__file__).parents[2]
SAMPLE_SECONDS = 2.0
USUAL = ("request", "refreshing request", "login")
"""What no phase is without."""
PATIENCE_SECONDS = 120.0
PACED_SHARE = 0.3
"""Of the minutes, at half the speed; the rest goes at full speed."""
SETTLING_SHARE = 0.25
"""Of the time at full speed, in which memories may still fill."""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long both phases take together (10)")
    parser.add_argument("--people", type=int, default=60, help="users, each with a browser (60)")
    parser.add_argument(
        "--lifetime", type=float, default=5.0, help="seconds of an access token (5), so that sessions refresh at all"
    )
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds before anything counts (15)")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of counting statements of idle workers (10)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="a trial of some seconds; its figures mean nothing")
    parsed = parser.parse_args(argv)
    if parsed.quick:
        parsed.minutes, parsed.people, parsed.lifetime, parsed.warm_up, parsed.idle = 0.2, 10, 1.0, 1.0, 1.0
    return parsed


class Run:
    """The site, the people, and who watches them."""

    def __init__(self, meter: Meter, pace: Pace, idle: Reading) -> None:
        self._meter = meter
        self._pace = pace
        self._idle = idle.statements["Questions"] / idle.seconds

    async def phase(self, name: str, seconds: float) -> Phase:
        """Let everybody go on for so long, and longer where a busy machine has not done anything in that time."""
        journal = self._pace.journal = Journal()
        before = self._meter.read()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 or (left > -PATIENCE_SECONDS and not all(map(journal.count, USUAL))):
            self._meter.sample()
            await asyncio.sleep(min(SAMPLE_SECONDS, left) if left > 0 else SAMPLE_SECONDS)
        return Phase(name, journal, self._meter.read().since(before), self._idle)


async def load(site: Site, meter: Meter, options: argparse.Namespace, report: Report) -> Sequence[Phase]:
    """Everything, from the first login on."""
    before = meter.read()
    await asyncio.sleep(options.idle)
    pace = Pace()
    run = Run(meter, pace, meter.read().since(before))
    people = [asyncio.create_task(Person(f"person-{n}", site.port, pace).live()) for n in range(options.people)]
    warm = await run.phase("warm-up", options.warm_up)
    latency = warm.journal.percentiles()
    if latency is None:
        raise RuntimeError(f"no right answer in the warm-up: {warm.journal.unexpected}\n{site.log[-3000:]}")
    pace.slow_down(options.people, warm.rate / 2, latency["p50"] / 1000)
    seconds = options.minutes * 60
    half = await run.phase("half speed", seconds * PACED_SHARE)
    pace.pause = 0.0
    since = meter.minutes + seconds * (1 - PACED_SHARE) * SETTLING_SHARE / 60
    full = await run.phase("full speed", seconds * (1 - PACED_SHARE))
    pace.running = False
    await asyncio.gather(*people)
    findings.phases(report, [half, full])
    findings.memory(report, meter.memory, since)
    return [warm, half, full]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write the results, and tell by the exit status whether an answer was not as it should have been."""
    options = arguments(argv)
    # Everything else is as it comes.
    settings = {"access_token_lifetime": f"{options.lifetime}s", "purge_interval": "1m"}
    parameters = {"minutes": options.minutes, "people": options.people, "workers": 2, **settings}
    report = Report("load", "Lifecycle load", description("python -m benchmarks.load", ROOT), parameters)
    with closing(RoomyMariaDB(256)) as server, tempfile.TemporaryDirectory() as folder:
        server.sql("CREATE DATABASE loaded")
        with Site(Path(folder), server.url("loaded"), **settings) as site:
            found = asyncio.run(load(site, Meter(site, server), options, report))
            complaints = [line for line in site.log.splitlines() if not line.startswith("INFO:")]
    report.write(options.results)
    print(report.markdown())
    wrong: Counter[str] = sum((phase.journal.unexpected for phase in found), start=Counter())
    for what, count in wrong.most_common(20):
        print(f"UNEXPECTED, {count} times: {what}", file=sys.stderr)
    for line in complaints[:50]:
        print(f"THE SERVER SAID: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
