"""A network between the nodes of Galera, whose links can be cut so that neither end is told.

Each node is called by an address of the network, and sits at another one. What it sends to a node comes by way of the
tests' own process, and arrives as from its address in the network. A link that is cut carries nothing: what was sent
waits, as what TCP sends again and again does, and so do new connections and the ends of old ones. This takes no rights.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import combinations_with_replacement, product

from anyio.from_thread import start_blocking_portal

from tests.clusters.galera import Galera, GaleraNode, free_pairs
from tests.clusters.nodes import closed_on_failure

CHUNK = 65536


def address(number: int) -> str:
    """By which a node is called."""
    return f"127.0.2.{number + 1}"


def seat(number: int) -> str:
    """Where a node sits: what it listens on, and connects from."""
    return f"127.0.1.{number + 1}"


class Network:
    """Links from each node to each; ``close()`` ends it.

    Args:
        ports: That the nodes listen on, the first node's first.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._numbers = {seat(number): number for number in range(len(ports))}
        self._carries: dict[tuple[int, int], asyncio.Event] = {}
        self._connections: set[asyncio.Task[None]] = set()
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            self._portal.call(self._listen)
            self._stack = stack.pop_all()

    def cut(self, some: Iterable[int], others: Iterable[int]) -> None:
        """Carry nothing any more between these and those."""
        for link in product(some, others):
            self._portal.call(self._link(*link).clear)

    def mend(self) -> None:
        """Carry everything again, first what has waited."""
        for link in self._carries.values():
            self._portal.call(link.set)

    def close(self) -> None:
        self._portal.call(self._end)
        self._stack.close()

    def _link(self, one: int, other: int) -> asyncio.Event:
        return self._carries[min(one, other), max(one, other)]

    async def _listen(self) -> None:
        for link in combinations_with_replacement(range(len(self._ports)), 2):
            self._carries[link] = asyncio.Event()
            self._carries[link].set()
        self._servers = [
            await asyncio.start_server(partial(self._connect, number), address(number), port)
            for number, port in enumerate(self._ports)
        ]

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connect(self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._carry(target, reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _carry(self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = self._numbers[writer.get_extra_info("peername")[0]]
        link = self._link(source, target)
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await link.wait()
            there = await asyncio.open_connection(seat(target), self._ports[target], local_addr=(address(source), 0))
            with contextlib.closing(there[1]):
                await asyncio.gather(_pass_on(link, reader, there[1]), _pass_on(link, there[0], writer))


async def _pass_on(link: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            await link.wait()
            writer.write(data)
            await writer.drain()
    finally:
        await link.wait()
        writer.close()


class DistantNode(GaleraNode):
    """A node that the others reach by the network alone; applications and the tests reach it always."""

    def _seat(self) -> str:
        return seat(self._number)

    def _address(self, number: int) -> str:
        return address(number)


class DistantGalera(Galera):
    """The cluster on it.

    Attributes:
        network: What joins the nodes.
    """

    def __init__(self) -> None:
        pairs = free_pairs()
        with closed_on_failure() as stack:
            self.network = Network([port for port, _ in pairs])
            stack.callback(self.network.close)
            super().__init__(DistantNode, pairs)

    def cut_off(self, number: int) -> None:
        """Let a node reach no other, and none reach it. All are told nothing."""
        self.network.cut([number], [other for other in range(len(self.nodes)) if other != number])

    def heal(self) -> None:
        """Mend the network, and whatever else is broken."""
        self.network.mend()
        super().heal()

    def close(self) -> None:
        super().close()
        self.network.close()
