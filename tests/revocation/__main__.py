"""Measures what very many revocations cost others.

``python -m tests.revocation start`` starts a worker on a server with a million recent tombstones.
``python -m tests.revocation bulk`` logs others out while a hundred thousand sessions of one user end.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.revocation.bulk import FORMS, measure, prepare
from tests.revocation.starting import fill, start
from tests.servers import MariaDB, PostgreSQL

AFTERWARDS = 240
"""Other logouts, ten in a second, after those before the call: for 20 seconds and some more."""
BEFORE = 40


@contextmanager
def database(engine: str) -> Iterator[str]:
    """An empty one, on a server with some memory."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{folder}/filled.db"
        return
    server = MariaDB() if engine == "mariadb" else PostgreSQL()
    try:
        if engine == "mariadb":
            server.sql("SET GLOBAL innodb_buffer_pool_size = 536870912")  # one that has so many sessions has more
        server.sql("CREATE DATABASE filled")
        yield server.url("filled")
    finally:
        server.close()


def measure_start(url: str, count: int) -> None:
    began = time.perf_counter()
    asyncio.run(fill(url, count))
    print(f"{count} tombstones written in {time.perf_counter() - began:.0f} s", flush=True)
    took = asyncio.run(start(url))
    print(f"started in {took.seconds:.1f} s with {took.statements} statements of at most {took.most_rows} rows")
    print(f"{took.known} handles known; the process grew by {took.megabytes:.0f} MB")
    print(f"longest pause of the event loop meanwhile: {took.longest_pause * 1000:.0f} ms")
    print(f"a poll: {took.poll_seconds * 1000:.0f} ms; a read of everything: {took.full_read_seconds:.1f} s")


def measure_bulk(url: str, count: int, form: str) -> None:
    plan = asyncio.run(prepare(url, count, BEFORE + AFTERWARDS, form=form))
    for line in measure(plan).lines():
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.revocation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["start", "bulk"])
    parser.add_argument("--engine", choices=["mariadb", "postgresql", "sqlite"], default="mariadb")
    parser.add_argument("--count", type=int, help="tombstones or sessions, a multiple of 100")
    parser.add_argument("--form", choices=FORMS, default="all", help="which call ends the many")
    given = parser.parse_args()
    print(given.engine, flush=True)
    with database(given.engine) as url:
        if given.what == "start":
            measure_start(url, given.count or 1_000_000)
        else:
            measure_bulk(url, given.count or 100_000, given.form)


if __name__ == "__main__":
    main()
