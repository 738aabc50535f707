"""How a worker starts where very many sessions were revoked a moment ago."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.revocation.reading import FULL_READ_SECONDS
from asgi_sessions.store.engine import Database, Outcome, open_database
from asgi_sessions.store.migrations import upgrade
from tests.revocation.polling import feed_of, stop_polling
from tests.revocation.tombstones import Cemetery
from tests.security.shop import SECRET

CHUNK = 100_000
LIFETIME_MS = 200_000
"""Less than a tombstone is needed by default, so that all of them still are when they have been written and read."""


@dataclass(frozen=True)
class Start:
    """What a start took.

    Attributes:
        known: How many handles the worker then knew.
        seconds: Until it could serve.
        statements: That the feed sent for it, beside the one for the time.
        most_rows: Of any one statement.
        megabytes: By which the process has grown.
        longest_pause: For which the event loop did nothing else, seconds.
        full_read_seconds: What the read of everything that comes every half minute takes.
        poll_seconds: What an ordinary poll takes.
    """

    known: int
    seconds: float
    statements: int
    most_rows: int
    megabytes: float
    longest_pause: float
    full_read_seconds: float
    poll_seconds: float


async def fill(url: str, count: int) -> None:
    """Make the tables, and in them tombstones of the last minutes."""
    database = await open_database(url, statement_timeout=3600)
    await upgrade(database)
    cemetery = Cemetery(database)
    now = await cemetery.now()
    chunks = -(-count // CHUNK)
    for number in range(chunks):
        size = min(CHUNK, count - number * CHUNK)
        apart_ms = max(1, LIFETIME_MS // chunks * 100 // size)
        await cemetery.fill(size, ending_at=now - number * LIFETIME_MS // chunks, apart_ms=apart_ms)
    await database.close()


async def start(url: str) -> Start:
    """Start a worker on a database that has been filled."""
    manager = SessionManager(SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0))
    before = _resident_megabytes()
    rows: list[int] = []
    pauses: list[float] = []
    with _counting(rows):
        ticking = asyncio.create_task(_tick(pauses))
        began = time.perf_counter()
        await manager.start()
        seconds = time.perf_counter() - began
        statements, most_rows = len(rows), max(rows)
        ticking.cancel()
        await asyncio.wait([ticking])
    try:
        feed = await stop_polling(manager)
        grown = _resident_megabytes() - before
        since = feed._monotonic
        began = time.perf_counter()
        await feed_of(manager).poll()
        poll_seconds = time.perf_counter() - began
        feed._monotonic = lambda: since() + FULL_READ_SECONDS
        began = time.perf_counter()
        await feed.poll()
        full_read_seconds = time.perf_counter() - began
        return Start(
            known=len(feed._handles),
            seconds=seconds,
            statements=statements,
            most_rows=most_rows,
            megabytes=grown,
            longest_pause=max(pauses, default=0.0),
            full_read_seconds=full_read_seconds,
            poll_seconds=poll_seconds,
        )
    finally:
        await manager.stop()


@contextmanager
def _counting(rows: list[int]) -> Iterator[None]:
    """Note how many rows each statement about tombstones gives."""
    run = Database.run

    async def counting(self: Database, statement: Any, *arguments: Any, **options: Any) -> Outcome:
        outcome = await run(self, statement, *arguments, **options)
        if "revoked_at" in str(statement.compile(dialect=self.engine.dialect)):
            rows.append(len(outcome.rows))
        return outcome

    Database.run = counting  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.run = run  # type: ignore[method-assign]


async def _tick(pauses: list[float]) -> None:
    while True:
        last = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - last - 0.001)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
