from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from asgi_sessions import SessionSettings
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.liveness_sweep import LivenessSweep
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import Position, TombstoneStore
from tests.clocks import Seconds
from tests.revocation.tombstones import Cemetery

KEPT_MS = 630_000


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cemetery(database: Database) -> Cemetery:
    return Cemetery(database)


class ReadStore(TombstoneStore):
    """The real one, which writes down what it is asked for, and can be told to fail.

    Attributes:
        places: Where each page was to begin.
        bounds: Down to which time each was to go, ms.
        strong: Whether each was to be read at the strongest consistency.
        failures: What to raise in place of the pages to come, the next one first; None lets a page through.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, build_tables())
        self.places: list[Position] = []
        self.bounds: list[int] = []
        self.strong: list[bool] = []
        self.failures: list[BaseException | None] = []

    async def page(self, before: Position, since: int, *, strong: bool = False) -> Any:
        self.places.append(before)
        self.bounds.append(since)
        self.strong.append(strong)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return await super().page(before, since, strong=strong)


@dataclass
class Worker:
    """One feed with all that it stands on.

    Attributes:
        told: The handles whose end was told to a listener, in order.
    """

    feed: RevocationFeed
    store: ReadStore
    seconds: Seconds
    listeners: TerminationListeners
    told: list[str] = field(default_factory=list)

    def watch(self, *handles: str) -> None:
        for handle in handles:
            self.listeners.add(handle, self._telling(handle))

    def _telling(self, handle: str) -> Callable[[], None]:
        return lambda: self.told.append(handle)


NewWorker = Callable[..., Worker]


def build_worker(
    database: Database, seconds: Seconds, *, clock_ahead: int = 0, kept_ms: int = KEPT_MS, **settings: Any
) -> Worker:
    """A feed on a database.

    Args:
        database: Where.
        seconds: Its monotonic clock.
        clock_ahead: How far the worker's own clock is ahead, ms.
        kept_ms: For how long tombstones are needed.
        **settings: Beside the defaults.
    """
    import time

    store, listeners = ReadStore(database), TerminationListeners()
    known = SessionSettings(database_url="sqlite+aiosqlite://", **settings)
    clock = lambda: time.time_ns() // 1_000_000 + clock_ahead  # noqa: E731 - a clock is a function without arguments
    liveness_sweep = LivenessSweep(known, SessionRepository(database, build_tables()), listeners, clock)
    feed = RevocationFeed(known, store, listeners, liveness_sweep, clock, kept_ms=kept_ms, monotonic=seconds)
    return Worker(feed, store, seconds, listeners)


@pytest.fixture
def new_worker(database: Database, seconds: Seconds) -> NewWorker:
    """Feeds on one database, one monotonic clock for all."""
    return lambda **options: build_worker(database, seconds, **options)


@pytest.fixture
def worker(new_worker: NewWorker) -> Worker:
    """A feed with the default settings."""
    return new_worker()
