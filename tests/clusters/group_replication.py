"""Three of Oracle's MySQL servers as one group: the primary takes writes while it sees a majority."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.clusters.nodes import closed_on_failure, free_ports, wait_until
from tests.clusters.oracle_mysql import OracleMySQL
from tests.clusters.recipes import server_options

SIZE = 3
MEMBERS = "SELECT member_port, member_role, member_state FROM performance_schema.replication_group_members"


class Member(OracleMySQL):
    """One of them.

    Args:
        group: The group's name, a UUID.
        ports: Of the group itself, one for each member.
        number: Which of the members this is.
        seed: The data of an empty server, which all begin with. The first leaves it there.
        options: Of the server, besides.
    """

    name = "group-replication"

    def __init__(self, group: str, ports: Sequence[int], number: int, seed: Path, options: Sequence[str]) -> None:
        self._group = group
        self._ports = ports
        self._number = number
        self._seed = seed
        self._options = options
        super().__init__()

    def bootstrap(self) -> None:
        """Be the first of the group, and its primary."""
        self.leave()
        self.sql("SET GLOBAL group_replication_bootstrap_group = ON; START GROUP_REPLICATION USER = 'root'")
        self.sql("SET GLOBAL group_replication_bootstrap_group = OFF")

    def join(self) -> None:
        """Enter the group that the others form; again, while they are busy with who belongs to it."""
        wait_until(self._joins, "the member has joined")

    def _joins(self) -> bool:
        self.leave()
        try:
            self.sql("START GROUP_REPLICATION USER = 'root'")
        except subprocess.CalledProcessError:
            return False
        return True

    def leave(self) -> None:
        """Be a server of its own, read-only; nothing happens if it is one."""
        self.sql("STOP GROUP_REPLICATION; SET GLOBAL offline_mode = OFF")

    def members(self) -> dict[int, tuple[str, str]]:
        """How this one sees the group: port, role and state of each."""
        return {int(port): (role, state) for port, role, state in self.sql(MEMBERS) if port}

    @property
    def is_online(self) -> bool:
        """Whether it answers, and is in a group whose majority it sees."""
        if not self.answers:
            return False
        states = [state for _, state in self.members().values()]
        mine = self.members().get(self.port, ("", "OFFLINE"))[1]
        return mine == "ONLINE" and 2 * states.count("ONLINE") > len(states)

    @property
    def has_decided(self) -> bool:
        """Whether it is in a group with a majority, or in none: not on the way, and not waiting for a majority."""
        mine = self.members().get(self.port, ("", "OFFLINE"))[1]
        return self.is_online or mine in ("OFFLINE", "ERROR")

    def transactions(self) -> int:
        """How many transactions of the group it has."""
        last = self.sql("SELECT @@gtid_executed")[0][0].replace("\\n", "").partition(self._group)[2]
        return int(last.partition(",")[0].rpartition("-")[2].rpartition(":")[2] or 0)

    def _install(self) -> None:
        if self._seed.exists():
            shutil.copytree(self._seed, self.folder / "data")
            return
        super()._install()
        (self.folder / "data" / "auto.cnf").unlink(missing_ok=True)  # who it is
        shutil.copytree(self.folder / "data", self._seed)

    def _command(self) -> list[str]:
        without = [option for option in super()._command() if not option.startswith("--performance-schema")]
        return [
            *without,
            "--performance-schema-instrument=%=OFF",  # its tables are needed, its measurements are not
            *server_options(
                "group.cnf",
                server_id=f"{self._number + 1}",
                report_host="127.0.0.1",
                group_replication_group_name=self._group,
                group_replication_local_address=f"127.0.0.1:{self._ports[self._number]}",
                group_replication_group_seeds=",".join(f"127.0.0.1:{port}" for port in self._ports),
            ),
            "--group-replication-message-cache-size=134217728",  # as little as it takes
            "--group-replication-recovery-reconnect-interval=1",  # by default a minute, if one could not be asked
            "--group-replication-member-expel-timeout=0",  # by default a silent member goes after 10 s, so after 5
            *self._options,
        ]


class GroupReplication:
    """The group; ``close()`` ends it.

    Args:
        unreachable_majority_timeout: After how many seconds without a majority a member gives up; 0, as by default,
            never, so that writes wait meanwhile.

    Attributes:
        nodes: Its members.
    """

    def __init__(self, unreachable_majority_timeout: int = 0) -> None:
        group, ports = str(uuid.uuid4()), free_ports(SIZE)
        options = [f"--group-replication-unreachable-majority-timeout={unreachable_majority_timeout}"]
        with closed_on_failure() as stack, tempfile.TemporaryDirectory(prefix="asgi-sessions-") as folder:
            nodes = []
            for number in range(SIZE):
                nodes.append(Member(group, ports, number, Path(folder) / "seed", options))
                stack.callback(nodes[-1].close)
            self.nodes = tuple(nodes)
            self.bootstrap()

    @property
    def primary(self) -> Member:
        """The member that takes writes.

        Raises:
            RuntimeError: There is no majority.
        """
        for node in self.nodes:
            if node.is_online:
                members = node.members()
                return next(other for other in self.nodes if members.get(other.port, ("",))[0] == "PRIMARY")
        raise RuntimeError("no member sees a majority")

    @property
    def secondaries(self) -> list[Member]:
        """The others, whether they are there or not."""
        primary = self.primary
        return [node for node in self.nodes if node is not primary]

    def appoint(self, member: Member) -> None:
        """Make a member the primary."""
        if member is not self.primary:
            member.sql("SELECT group_replication_set_as_primary(@@server_uuid)")

    def bootstrap(self) -> None:
        """Begin, or bring back a group that has no majority: with the member that has the newest data."""
        for node in self.nodes:
            if not node.is_running:
                node.start()
            node.leave()
        first = max(self.nodes, key=Member.transactions)
        first.bootstrap()
        for node in self.nodes:
            if node is not first:
                node.join()
        self.wait_until_primary()

    def partition(self, *nodes: Member) -> None:
        """Cut nodes off from all others, by pausing those others, and wait until they have noticed.

        A member that waits for a majority, because `unreachable_majority_timeout` is 0 or not over yet, goes on by
        itself after ``heal``.
        """
        for other in self.nodes:
            if other not in nodes:
                other.pause()
        wait_until(lambda: not any(node.is_online for node in nodes), "the members that are cut off have no majority")

    def heal(self) -> None:
        """Resume who is paused, start who is down, let those join that have left, and wait for all."""
        for node in self.nodes:
            node.resume()
        for node in self.nodes:
            if not node.is_running:
                node.start()
        wait_until(lambda: all(node.has_decided for node in self.nodes), "each member knows whether it is in the group")
        if not any(node.is_online for node in self.nodes):
            return self.bootstrap()
        for node in self.nodes:
            if not node.is_online:
                node.join()
        return self.wait_until_primary()

    def wait_until_primary(self, *nodes: Member) -> None:
        """Wait until these members, by default all, are in a group with a majority."""
        wanted = nodes or self.nodes
        wait_until(lambda: all(node.is_online for node in wanted), f"{len(wanted)} members are online")

    def close(self) -> None:
        for node in self.nodes:
            node.close()
