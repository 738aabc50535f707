"""Opens connections to one of several servers of a cluster.

What must hold
==============

*Only a member that can serve us is given out*: it answers, takes writes, and belongs to the majority of its cluster.
Each new connection is checked (`members`).

*A silent server costs no more than `STAGGER_SECONDS`.* Then the next one is asked as well; the first good one counts.

*A worker stays with the server that has worked*, so that it reads what it has written. Each worker begins at another
one. A server that has failed is asked last.

Source: RFC 8305 (Happy Eyeballs), which does the same with a host's addresses.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from asgi_sessions.settings.several_hosts import Host
from asgi_sessions.store.opening import drop_what_came

__all__ = ["STAGGER_SECONDS", "Hosts", "Opener"]

STAGGER_SECONDS = 0.5
"""After so long without an answer the next server is asked as well. Far databases take longer, and lose nothing by it:
the first goes on."""

_shuffle = random.SystemRandom().shuffle


class Opener(Protocol):
    """What opens a driver's connection to one server."""

    async def open(self, **arguments: Any) -> Any:
        """Connect; a cancellation leaves nothing behind."""

    async def check(self, connection: Any) -> None:
        """Raise unless this server can serve us."""

    def drop(self, connection: Any) -> None:
        """Close a connection at once."""


class Hosts:
    """The servers of one engine, in the order in which they are asked.

    Args:
        hosts: Where they listen.
        opener: What opens a connection to one of them.
    """

    def __init__(self, hosts: Sequence[Host], opener: Opener) -> None:
        self._opener = opener
        self._in_order = list(hosts)
        _shuffle(self._in_order)

    async def open(self, **arguments: Any) -> Any:
        """Return a connection to the first server that can serve us: for SQLAlchemy's ``async_creator_fn``.

        Args:
            arguments: The driver's; host and port are replaced.

        Raises:
            Exception: None of them can; the error is that of a server which has answered, if one has.
        """
        waiting = list(self._in_order)
        asked: dict[asyncio.Task[Any], Host] = {}
        failures: list[BaseException] = []
        try:
            while waiting or asked:
                if waiting:
                    host = waiting.pop(0)
                    asked[asyncio.ensure_future(self._open(host, arguments))] = host
                patience = STAGGER_SECONDS if waiting else None
                done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        self._move(asked.pop(task), to=0)
                        return task.result()
                    self._move(asked.pop(task), to=len(self._in_order))
                    failures.append(error)
            raise min(failures, key=_is_of_the_network)
        finally:
            failures.clear()  # they would refer to this frame
            for task in asked:
                _end(task, self._opener.drop)

    async def _open(self, host: Host, arguments: dict[str, Any]) -> Any:
        connection = await self._opener.open(**{**arguments, "host": host.name, "port": host.port})
        try:
            await self._opener.check(connection)
        except BaseException:
            self._opener.drop(connection)
            raise
        return connection

    def _move(self, host: Host, *, to: int) -> None:
        self._in_order.remove(host)
        self._in_order.insert(to, host)


_ending: set[asyncio.Task[Any]] = set()
"""Openings that nobody waits for any more: to end one may take as long as a silent server lets it."""


def _end(opening: "asyncio.Task[Any]", drop: Callable[[Any], None]) -> None:
    def ended(task: "asyncio.Task[Any]") -> None:
        _ending.discard(task)
        drop_what_came(task, drop=drop)

    _ending.add(opening)
    opening.add_done_callback(ended)
    opening.cancel()


def _is_of_the_network(error: BaseException | None) -> bool:
    """Whether the operating system has said it, and no server."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None
