"""Several workers on one database, each with an engine of its own, and somebody who looks at the rows."""

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from starlette.types import ASGIApp

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.repository import SessionRow
from tests.races.app import ACCESS, REFRESH, build_app
from tests.races.watching import watched
from tests.security.browser import Answer, Browser

SECRET = "a-secret-key-for-races-0123456789-abcdefghijkl"

Row = Mapping[str, Any]


class Violation(AssertionError):
    """Something happened that must not."""


def must(condition: object, otherwise: str) -> None:
    if not condition:
        raise Violation(otherwise)


class Clock:
    """Begins with the machine's time, since the database tells the time of a revocation; ms."""

    def __init__(self) -> None:
        self.present = self.now = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.now

    def at(self, seconds: float) -> None:
        """Show the present, or so many seconds before (below 0) or after it."""
        self.now = self.present + round(seconds * 1000)

    def renew(self) -> None:
        """The present is now."""
        self.present = self.now = time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """The tokens of one answer."""

    access: str
    refresh: str

    @property
    def cookies(self) -> list[tuple[str, str]]:
        return [(ACCESS, self.access), (REFRESH, self.refresh)]


class Worker:
    """One process's share, in this process."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager = manager
        self.app: ASGIApp = build_app(manager)

    async def send(self, method: str, path: str, cookies: list[tuple[str, str]]) -> Answer:
        return await Browser(self.app).send(method, path, cookies=cookies)

    async def refresh(self, token: str) -> Answer:
        """POST to the refresh endpoint with nothing but a refresh token."""
        return await self.send("POST", "/auth/session/refresh", [(REFRESH, token)])

    async def hear(self) -> None:
        """Hear now, and not within half a second, which sessions other workers have ended."""
        feed = self.manager.lifecycle._feed
        if feed is not None:
            await feed.poll()

    async def refused(self, pair: Pair) -> list[Answer]:
        """What both tokens of a pair, each by itself, are answered: 401 where the session has ended."""
        await self.hear()
        return [await self.refresh(pair.refresh), await self.send("GET", "/me", [(ACCESS, pair.access)])]


def pair_in(answer: Answer) -> Pair | None:
    """The tokens that an answer hands out."""
    values = answer.set_values
    return Pair(values[ACCESS], values[REFRESH]) if REFRESH in values else None


@dataclass(frozen=True)
class Cluster:
    """What all races need.

    Attributes:
        workers: At least two.
        clock: Of all of them.
        alarms: Handles for which `session.theft` was recorded, one entry each time.
    """

    workers: list[Worker]
    clock: Clock
    observer: Database
    alarms: list[str]

    async def row(self, handle: str) -> Row | None:
        """All columns of a session's row."""
        found = await self.observer.run(text("SELECT * FROM asgi_sessions_sessions WHERE handle = :h"), {"h": handle})
        return dict(found.rows[0]._mapping) if found.rows else None

    async def live_row(self, handle: str) -> SessionRow:
        """The row as rotation sees it."""
        row = await self.row(handle)
        must(row is not None, f"session {handle} has no row")
        values = {**(row or {}), "session_info": None}
        return SessionRow(**values)


@asynccontextmanager
async def open_cluster(url: str, *, count: int = 3, **settings: Any) -> AsyncIterator[Cluster]:
    """Start workers on a database, one after the other; they share a clock that tests move."""
    clock = Clock()
    given = {"database_url": url, "secret_key": SECRET, "purge_interval": 0, **settings}
    async with AsyncExitStack() as stack:
        stack.enter_context(watched())
        alarms = stack.enter_context(heard_alarms())
        workers = []
        for _ in range(count):
            manager = SessionManager(SessionSettings(**given), clock=clock)
            workers.append(Worker(await stack.enter_async_context(manager)))
        observer = await open_database(url)
        stack.push_async_callback(observer.close)
        yield Cluster(workers, clock, observer, alarms)


@contextmanager
def heard_alarms() -> Iterator[list[str]]:
    """The handles of sessions for which a theft is recorded inside the block."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", None) == "session.theft":
                heard.append(getattr(record, "session_handle", ""))

    log, listener = logging.getLogger("asgi_sessions.audit"), Listener()
    log.addHandler(listener)
    try:
        yield heard
    finally:
        log.removeHandler(listener)
