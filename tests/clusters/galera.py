"""A cluster of three MariaDB servers with Galera: each takes writes while it sees a majority."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clusters.nodes import MySQLNode, closed_on_failure, free_ports, wait_until
from tests.clusters.recipes import server_options
from tools.engines import find_program

SIZE = 3
TIMEOUTS = {
    "evs.keepalive_period": "PT0.5S",
    "evs.inactive_check_period": "PT0.25S",
    "evs.suspect_timeout": "PT2S",
    "evs.inactive_timeout": "PT5S",
    "evs.install_timeout": "PT5S",
}
"""When a silent node is left out: by default suspected after 5 s, inactive after 15, and asked each second."""


class GaleraNode(MySQLNode):
    """One of them.

    Args:
        ports: Of Galera itself, two for each node of the cluster: for the group, and for what a node missed.
        number: Which of the nodes this is. The first, 0, makes the cluster; the others get all data from it.

    Attributes:
        environment: Variables for its process, ``NAME=value``; they count from its next start.
    """

    name = "galera"
    environment: tuple[str, ...] = ()

    def __init__(self, ports: Sequence[tuple[int, int]], number: int) -> None:
        self._ports = ports
        self._number = number
        self._bootstraps = number == 0
        self._start_position: list[str] = []
        super().__init__()

    def bootstrap(self) -> None:
        """Be the first of a cluster: if it runs, it and those that it sees are the cluster from now on."""
        if self.is_running:
            self.sql("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")
            return
        self._bootstraps = True
        self.start()

    def start(self) -> None:
        if self._state.exists():
            history, seqno = self.position()
            self._start_position = [f"--wsrep-start-position={history}:{seqno}"]
        if self._bootstraps and self._state.exists():
            self._state.write_text(re.sub(r"(?<=safe_to_bootstrap: )0", "1", self._state.read_text()))
            (self.folder / "data" / "gvwstate.dat").unlink(missing_ok=True)  # with whom it was
        super().start()
        self._bootstraps = False

    def isolate(self) -> None:
        """Cut it off from the others: Galera's own switch for tests."""
        self.sql("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def rejoin(self) -> None:
        """Let it see the others again."""
        self.sql("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")

    def status(self, name: str) -> str:
        """Return what Galera says of it: ``ready``, ``cluster_status``, ``cluster_size``."""
        return self.sql(f"SHOW STATUS LIKE 'wsrep_{name}'")[0][1]

    @property
    def is_primary(self) -> bool:
        """Whether it is in the majority, has all data, and answers."""
        if not self.answers:
            return False
        try:
            return (self.status("ready"), self.status("cluster_status")) == ("ON", "Primary")
        except subprocess.CalledProcessError:
            return False

    def has_noticed(self, alive: int) -> bool:
        """Whether it knows that no more than so many live, or has no majority."""
        return not self.is_primary or int(self.status("cluster_size")) <= alive

    def position(self) -> tuple[str, int]:
        """While it is down: the history that its data belongs to, and the number of its last transaction."""
        found = re.search(r"uuid:\s+(\S+)\s+seqno:\s+(\S+)", self._state.read_text())
        if found is not None and found[2] == "-1":  # it was killed: only the storage engine knows
            self._start_position = []
            done = subprocess.run([*self._command(), "--wsrep-recover"], check=True, capture_output=True, timeout=120)
            told = done.stderr.decode(errors="replace")
            found = re.search(r"Recovered position: ([^:\s]+):(\d+)", told)
        if found is None:
            raise RuntimeError(f"{self.name}: nothing tells the position of its data")
        return found[1], int(found[2])

    @property
    def _state(self) -> Path:
        return self.folder / "data" / "grastate.dat"

    def _install(self) -> None:
        if self._number == 0:
            super()._install()
        else:
            (self.folder / "data").mkdir()

    def _seat(self) -> str:
        """The address that it listens on, and connects from."""
        return "127.0.0.1"

    def _address(self, number: int) -> str:
        """By which a node is called."""
        return "127.0.0.1"

    def _command(self) -> list[str]:
        group, sent = self._ports[self._number]
        everybody = ",".join(f"{self._address(number)}:{port}" for number, (port, _) in enumerate(self._ports))
        options = TIMEOUTS | {
            "base_host": self._seat(),
            "base_port": str(group),
            "gmcast.listen_addr": f"tcp://{self._seat()}:{group}",
            "ist.recv_addr": f"{self._seat()}:{sent}",
            "gcache.size": "16M",
        }
        return [
            "env",
            f"PATH={Path(__file__).parent}:/usr/local/bin:/usr/bin:/bin",  # wsrep_sst_copy is there
            *self.environment,
            *super()._command(),
            *server_options(
                "galera.cnf",
                wsrep_provider=find_program("libgalera_smm.so"),
                wsrep_cluster_address=f"gcomm://{everybody}",
                wsrep_node_address=f"{self._seat()}:{group}",
                wsrep_sst_method="copy",
            ),
            f"--wsrep-node-name=node-{self._number}",
            f"--wsrep-provider-options={';'.join(f'{name}={value}' for name, value in options.items())}",
            *(["--wsrep-new-cluster"] if self._bootstraps else []),
            *self._start_position,
        ]


def free_pairs() -> list[tuple[int, int]]:
    """Return two free ports for each node."""
    ports = free_ports(2 * SIZE)
    return list(zip(ports[::2], ports[1::2], strict=True))


class Galera:
    """The cluster; ``close()`` ends it.

    Args:
        kind: What each node is.
        ports: Of Galera itself, two for each; by default any that are free.

    Attributes:
        nodes: Its servers.
    """

    def __init__(self, kind: type[GaleraNode] = GaleraNode, ports: Sequence[tuple[int, int]] = ()) -> None:
        pairs = ports or free_pairs()
        with closed_on_failure() as stack:
            nodes = []
            for number in range(SIZE):
                nodes.append(kind(pairs, number))
                stack.callback(nodes[-1].close)
            self.nodes = tuple(nodes)
            self.wait_until_primary()

    def bootstrap(self) -> None:
        """Bring back a cluster that has no majority, or does not run: from the node with the newest data."""
        alone = [node for node in self.nodes if node.answers]
        if alone:
            alone[0].bootstrap()
        else:
            max(self.nodes, key=lambda node: node.position()[1]).bootstrap()
        for node in self.nodes:
            if not node.is_running:
                node.start()
        self.wait_until_primary()

    def partition(self, *nodes: GaleraNode) -> None:
        """Cut nodes off from all others and from each other, and wait until they have noticed."""
        for node in nodes:
            node.isolate()
        self.wait_until_lost(*nodes)

    def heal(self) -> None:
        """End what ``partition`` began, resume who is paused, start who is down, and wait for all."""
        for node in self.nodes:
            node.resume()
        for node in self.nodes:
            if node.is_running:
                node.rejoin()
        alive = [node for node in self.nodes if node.is_running]
        wait_until(lambda: all(node.has_noticed(len(alive)) for node in alive), "those who live know who is gone")
        if len(alive) < 2 and not any(node.is_primary for node in alive):
            return self.bootstrap()  # the others could not enter
        for node in self.nodes:
            if not node.is_running:
                node.start()
        return self.wait_until_primary()

    def wait_until_primary(self, *nodes: GaleraNode) -> None:
        """Wait until these nodes, by default all, are in the majority and see each other."""
        wanted = nodes or self.nodes
        wait_until(
            lambda: all(node.is_primary and int(node.status("cluster_size")) >= len(wanted) for node in wanted),
            f"{len(wanted)} nodes form a cluster",
        )

    def wait_until_lost(self, *nodes: GaleraNode) -> None:
        """Wait until these nodes have noticed that they are without a majority."""
        wait_until(lambda: not any(node.is_primary for node in nodes), "the nodes have no majority")

    def close(self) -> None:
        for node in self.nodes:
            node.close()
