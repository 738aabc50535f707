"""The long form: `python -m tests.races`. All races, on MariaDB and PostgreSQL; exit status 1 if one is lost."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from asgi_sessions import SessionManager, SessionSettings
from tests.races.cluster import SECRET, Violation, open_cluster
from tests.races.crashes import REQUESTS, crash_everywhere, open_mortals
from tests.races.crowds import SIZE, Crowd, InOneProcess
from tests.races.crowds import race as crowd_race
from tests.races.logouts import PROFILES
from tests.races.logouts import race as logout_race
from tests.races.site import open_site
from tests.races.stories import STORIES
from tests.servers import MariaDB, PostgreSQL, Server
from tools.engines import ProgramMissing


class Report:
    """Prints what was tried, and counts.

    Attributes:
        violations: How many.
        orders: In how many orders a refresh and the end of its session were run.
        refreshes: How many of them were in crowds.
        crashes: How many workers were killed.
    """

    def __init__(self) -> None:
        self.violations = self.orders = self.refreshes = self.crashes = 0

    async def attempt(self, name: str, race: Callable[[], Awaitable[str]]) -> None:
        begun = time.monotonic()
        try:
            outcome = await race()
        except Violation as violation:
            self.violations += 1
            outcome = f"VIOLATED: {violation}"
        print(f"{name}: {outcome} [{time.monotonic() - begun:.1f} s]", flush=True)


async def crowds(report: Report, url: str) -> None:
    """A hundred refreshes at once, in one process and over HTTP."""

    async def attempt(name: str, kind: str, crowd: Crowd) -> None:
        report.refreshes += SIZE
        await report.attempt(f"{name}, {kind}", lambda: crowd_race(cluster, kind, crowd))

    async with open_cluster(url, count=4) as cluster:
        for kind in STORIES:
            await attempt("All have read the same row", kind, InOneProcess(cluster))
            await attempt("Nobody waits", kind, InOneProcess(cluster, meets=False))
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(url, Path(folder)) as site:
                for kind in STORIES:
                    await attempt("Over HTTP to two workers", kind, site)
                for line in site.complaints():
                    report.violations += 1
                    print(f"VIOLATED: a worker says {line}")


async def logouts(report: Report, url: str, *, stops_after: bool) -> None:
    """Each refresh against each end of its session; with other settings stopping before the statements will do."""
    for name, profile in PROFILES.items():
        after = stops_after and not profile.settings
        async with open_cluster(url, **profile.settings) as cluster:
            for refresh, how in profile.refreshes.items():
                for end, ending in profile.endings.items():

                    async def race() -> str:
                        count = await logout_race(cluster, how, ending, stops_after=after)  # noqa: B023 - run at once
                        report.orders += count
                        return f"{count} orders, the end won in all"

                    await report.attempt(f"With {name}, {refresh} against {end}", race)


async def crashes(report: Report, url: str) -> None:
    """A worker dies at each stop of each request."""
    async with open_cluster(url) as cluster, open_mortals(url) as mortals:
        for name, request in REQUESTS.items():

            async def race() -> str:
                stops = await crash_everywhere(cluster, mortals, request)  # noqa: B023 - run at once
                report.crashes += len(stops)
                return f"died {', '.join(stops)}; the jar went on each time"

            await report.attempt(f"Killed in a {name}", race)


async def check(report: Report, server: Server, name: str) -> None:
    url = server.url(name)
    async with SessionManager(SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0)):
        pass  # makes the tables
    await crowds(report, url)
    await logouts(report, url, stops_after=isinstance(server, MariaDB))
    await crashes(report, url)


def main() -> int:
    report, begun = Report(), time.monotonic()
    for kind in (MariaDB, PostgreSQL):
        try:
            server = kind()
        except ProgramMissing as missing:
            print(f"NOT TRIED on {kind.name}: {missing}")
            continue
        print(f"On {kind.name}:")
        try:
            server.sql("CREATE DATABASE races")
            asyncio.run(check(report, server, "races"))
        finally:
            server.close()
    print(
        f"{report.orders:,} orders of refresh and logout, {report.refreshes:,} refreshes in crowds, "
        f"{report.crashes} workers killed: {report.violations} violations, {time.monotonic() - begun:.0f} s."
    )
    return min(report.violations, 1)


if __name__ == "__main__":
    sys.exit(main())
