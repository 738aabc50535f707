"""``python -m benchmarks.store``: the store's operations against raw asyncmy, on a large table, and during a purge."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import uvloop

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import upgrade
from benchmarks.machine import description
from benchmarks.report import Report
from benchmarks.store import findings
from benchmarks.store.alternation import Contender, Ours, Raw, measure
from benchmarks.store.counting import exceeded, lifecycle
from benchmarks.store.operations import OPERATIONS
from benchmarks.store.population import Population
from benchmarks.store.purging import ROUNDS, waits
from benchmarks.store.raw import RawConnection, RawPool, Scribe, Stores
from benchmarks.store.server import RoomyMariaDB
from tests.servers import PostgreSQL
from tools.engines import ProgramMissing

ROOT = Path(__file__).parents[2]
SMALL = 2_000
MEMORY_SHARE = 0.6
"""Of the machine's memory, what MariaDB gets at most: the benchmark, and what else runs, need the rest."""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="turns of each contender at each operation (60)")
    parser.add_argument("--calls", type=int, default=30, help="calls in a turn (30)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the large table (2000000)")
    parser.add_argument("--dead", type=int, default=200_000, help="rows that are purged under load (200000)")
    parser.add_argument(
        "--loop", choices=("uvloop", "asyncio"), default="uvloop", help="event loop (uvloop, which uvicorn takes, too)"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="a trial: 2 rounds, few rows; figures mean nothing")
    parsed = parser.parse_args(argv)
    if parsed.quick:
        parsed.rounds, parsed.calls, parsed.rows, parsed.dead = 2, 4, 4_000, 100 * ROUNDS
    return parsed


@asynccontextmanager
async def filled(server: RoomyMariaDB, name: str, size: int) -> AsyncIterator[tuple[Population, Database]]:
    """A database with so many sessions, and the package's connections to it."""
    server.sql(f"CREATE DATABASE {name}")
    database = await open_database(server.url(name))
    try:
        await upgrade(database)
        population = Population(server, name, size)
        population.fill()
        yield population, database
    finally:
        await database.close()


async def counted(server: RoomyMariaDB, report: Report) -> list[str]:
    """Count statements on each engine that is here; what is over budget."""
    server.sql("CREATE DATABASE counted")
    engines = {"MariaDB": await lifecycle(server.url("counted"), server, "counted")}
    try:
        with closing(PostgreSQL()) as postgresql:
            postgresql.sql("CREATE DATABASE counted")
            engines["PostgreSQL"] = await lifecycle(postgresql.url("counted"), postgresql, "counted")
    except ProgramMissing:
        report.text("PostgreSQL is not installed: its statements were not counted.")
    engines["SQLite"] = await lifecycle("sqlite+aiosqlite://", None, "")
    findings.counts(report, engines)
    return [f"{engine}: {problem}" for engine, counts in engines.items() for problem in exceeded(counts)]


def buffer_pool_mb(rows: int) -> int:
    """Room for so many sessions and their indexes, as far as the machine has it."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(128, rows * 1024 // 2**20), int(memory * MEMORY_SHARE) // 2**20)


async def run(options: argparse.Namespace, report: Report) -> list[str]:
    """Measure everything."""
    server = RoomyMariaDB(buffer_pool_mb(options.rows))
    async with AsyncExitStack() as stack:
        stack.callback(server.close)
        problems = await counted(server, report)
        small, ours = await stack.enter_async_context(filled(server, "small", SMALL))
        scribe = Scribe()
        raw = await RawConnection.open(server.url("small"), ours)
        stack.push_async_callback(raw.close)
        pool = await RawPool.open(server.url("small"), ours)
        stack.push_async_callback(pool.close)
        workshop = {"small": await RawConnection.open(server.url("small"), ours)}
        stack.push_async_callback(workshop["small"].close)
        contenders: dict[str, Contender] = {
            findings.OURS: Ours(small, Stores(ours)),
            findings.RAW: Raw(small, raw, scribe),
            findings.POOL: Raw(small, pool, scribe),
        }
        amount = {"rounds": options.rounds, "calls": options.calls}
        gc.collect()
        gc.freeze()  # or the collection before each turn would look at all that was ever imported
        findings.against_raw(
            report, {each.name: await measure(each, contenders, workshop, **amount) for each in OPERATIONS}
        )

        large, others = await stack.enter_async_context(filled(server, "large", options.rows))
        server.settle()
        workshop["large"] = await RawConnection.open(server.url("large"), others)
        stack.push_async_callback(workshop["large"].close)
        on_large = await RawConnection.open(server.url("large"), others)
        stack.push_async_callback(on_large.close)
        sizes: dict[str, Contender] = {
            f"{SMALL:,} rows": Raw(small, raw, scribe),
            f"{options.rows:,} rows": Raw(large, on_large, scribe),
        }
        findings.against_size(
            report, {each.name: await measure(each, sizes, workshop, **amount) for each in OPERATIONS}
        )
        found = await waits(large, Stores(others), workshop["large"], dead=options.dead)
        findings.under_purge(report, found, large.size)
    return problems


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the results, and tell by the exit status whether a count of statements is over its budget."""
    options = arguments(argv)
    machine = description("python -m benchmarks.store", ROOT)
    parameters = {
        "rounds": options.rounds,
        "calls in a turn": options.calls,
        "rows of the large table": options.rows,
        "buffer pool": f"{buffer_pool_mb(options.rows)} MB",
        "rows purged": options.dead,
        "event loop": options.loop,
    }
    report = Report("store", "The store's operations", machine, parameters)
    factory = uvloop.new_event_loop if options.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        problems = runner.run(run(options, report))
    report.write(options.results)
    print(report.markdown())
    for problem in problems:
        print(f"OVER BUDGET: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
