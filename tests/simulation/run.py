"""One run: browsers, a bad line, two workers, a database; then the figures."""

import asyncio
import re
import time
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.servers import MariaDB
from tests.simulation.browser import Browser
from tests.simulation.lifetimes import Lifetimes
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.report import Report, Verdict
from tests.simulation.tally import Tally
from tests.uvicorn_server import SECRET, UvicornServer

LEAST_WAKES = 3
LOOKS = 2
"""At the end, with nothing lost: a fork may show one generation later only."""
RUNS = 3

_AUDITED = re.compile(r"^AUDIT (session\.\w+) user-([0-9]+) ", re.MULTILINE)


def run_until_conclusive(plan: Plan, server: MariaDB, folder: Path) -> Report:
    """Run the plan; where the machine was too slow for that to prove anything, again with longer lifetimes."""
    for _ in range(RUNS - 1):
        report = run(plan, server, folder)
        if report.verdict is not Verdict.INCONCLUSIVE:
            return report
        print(f"{report}\nagain, with times twice as long", flush=True)
        plan = replace(plan, lifetimes=Lifetimes.of(2 * plan.lifetimes.access))
    return run(plan, server, folder)


def run(plan: Plan, server: MariaDB, folder: Path) -> Report:
    """Run the plan once, on an empty database."""
    database = f"simulation_{uuid.uuid4().hex[:12]}"
    server.sql(f"CREATE DATABASE {database}")
    environment = {
        "ASGI_SESSIONS_DATABASE_URL": server.url(database),
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_PURGE_INTERVAL": "0",
        "ASGI_SESSIONS_REFRESH": plan.refresh,
        "ASGI_SESSIONS_PROMOTE_ON": plan.promote_on,
        **plan.lifetimes.environment,
    }
    started = time.monotonic()
    with UvicornServer(
        "tests.simulation.app:app", folder, environment, workers=2, options=["--no-access-log"]
    ) as workers:
        tally = Tally()
        alive = asyncio.run(_play(plan, workers.port, tally))
        log = workers.log
    rows = server.sql("SELECT gen, revoked_at IS NOT NULL FROM asgi_sessions_sessions", database)
    server.sql(f"DROP DATABASE {database}")
    audited = _AUDITED.findall(log)
    for jar in {int(user) for event, user in audited if event == "session.theft"}:
        tally.failures[jar].append("session.theft in the log")
    refreshes = Counter(int(user) for event, user in audited if event == "session.refreshed")
    return Report(
        plan=plan,
        counts=tally.counts,
        alive=alive,
        revoked=sum(revoked == "1" for _, revoked in rows),
        alarms=sum(event == "session.theft" for event, _ in audited),
        refreshes=[refreshes[jar] for jar in range(plan.sessions)],
        generations=[int(generation) for generation, _ in rows],
        failures={jar: what for jar, what in tally.failures.items() if what},
        longest=dict(tally.longest),
        workers=len(tally.workers),
        tracebacks=log.count("Traceback"),
        seconds=time.monotonic() - started,
    )


async def _play(plan: Plan, port: int, tally: Tally) -> int:
    """Let everybody browse; returns how many are still logged in."""
    delay = plan.lifetimes.longest_delay
    async with Network(port, seed=plan.seed, longest_delay=delay, tally=tally) as network:
        room = asyncio.Semaphore(plan.at_once)
        browsers = [
            Browser(
                number,
                network.port,
                seed=plan.seed,
                asks=plan.refresh == "endpoint",
                lifetimes=plan.lifetimes,
                tally=tally,
            )
            for number in range(plan.sessions)
        ]
        await asyncio.gather(*(_browse(browser, plan, network, room) for browser in browsers))
        return sum(browser.alive for browser in browsers)


async def _browse(browser: Browser, plan: Plan, network: Network, room: asyncio.Semaphore) -> None:
    async with room:
        await browser.come()
        await browser.log_in()
        wakes = 0
        while browser.alive and (
            wakes < LEAST_WAKES or network.requests[browser.number] * plan.sessions < plan.requests
        ):
            await browser.sleep()
            await browser.wake()
            wakes += 1
        for _ in range(LOOKS):
            if browser.alive:
                await browser.sleep_well()
                await browser.look()
