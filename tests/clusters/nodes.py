"""What all clusters have: nodes that know whether they are paused, several free ports, waiting with a deadline."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import make_url

from tests.servers import MariaDB, Server, free_port

WAIT_SECONDS = 120.0
USER = "app"
"""Of the applications: without a password, and without the rights by which ``root`` may write to what is read-only."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again.

    Raises:
        TimeoutError: It did not come true.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {WAIT_SECONDS:.0f} s still not: {what}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Return as many different ones."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


@contextmanager
def closed_on_failure() -> Iterator[ExitStack]:
    """For a cluster that starts: what has started already ends if the rest does not."""
    with ExitStack() as stack:
        yield stack
        stack.pop_all()


class Pausable(Server):
    """A server that knows whether it is paused: whoever asks a paused one waits."""

    is_paused = False

    def pause(self) -> None:
        super().pause()
        self.is_paused = True

    def resume(self) -> None:
        super().resume()
        self.is_paused = False

    @property
    def answers(self) -> bool:
        """Whether it runs and is not paused."""
        return self.is_running and not self.is_paused


class MySQLNode(Pausable, MariaDB):
    """One of several servers with the same data; applications are the user ``app``."""

    def url(self, database: str) -> str:
        return make_url(super().url(database)).set(username=USER).render_as_string()

    def create(self, database: str) -> None:
        super().create(database)
        self.sql(f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1'; GRANT ALL ON {database}.* TO {USER}@'127.0.0.1'")
