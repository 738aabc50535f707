"""A primary with one replica that follows it a moment later: MariaDB, and PostgreSQL with its hot standby."""

import os
import shutil
import subprocess
from typing import Generic, TypeVar

from tests.clusters.nodes import MySQLNode, Pausable, closed_on_failure, wait_until
from tests.clusters.recipes import server_options
from tests.servers import PostgreSQL
from tools.engines import find_program


class ReplicatedMariaDB(MySQLNode):
    """One of two; it begins as the primary.

    Args:
        number: Different from the other's.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._is_read_only = False
        super().__init__()

    def follow(self, primary: "ReplicatedMariaDB") -> None:
        """Be a replica, read-only, which gets what the other writes."""
        self.demote()
        source = f"MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, MASTER_USER = 'root'"
        self.sql(f"STOP SLAVE; CHANGE MASTER TO {source}, MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1")
        self.sql("START SLAVE")

    def promote(self) -> None:
        """Take writes, and follow nobody."""
        self.sql("STOP SLAVE; SET GLOBAL read_only = OFF")
        self._is_read_only = False

    def demote(self) -> None:
        """Take no more writes: connections stay, and their next write fails."""
        self.sql("SET GLOBAL read_only = ON")
        self._is_read_only = True

    def position(self) -> int:
        """The number of the last transaction that it has, its own or the other's."""
        return int(self.sql("SELECT @@gtid_current_pos")[0][0].rpartition("-")[2] or 0)

    def _command(self) -> list[str]:
        return [
            *super()._command(),
            *server_options("replication.cnf", server_id=f"{self._number}"),
            *(["--read-only"] if self._is_read_only else []),
        ]


MariaDBKind = TypeVar("MariaDBKind", bound=ReplicatedMariaDB)


class MariaDBPair(Generic[MariaDBKind]):
    """Both; ``close()`` ends them.

    Args:
        kind: What each is.

    Attributes:
        primary: Which takes writes.
        replica: Which does not, and follows.
    """

    def __init__(self, kind: type[MariaDBKind]) -> None:
        with closed_on_failure() as stack:
            self.primary = kind(1)
            stack.callback(self.primary.close)
            self.replica = kind(2)
            stack.callback(self.replica.close)
            self.replica.follow(self.primary)

    def catch_up(self) -> None:
        """Wait until the replica has what the primary has now."""
        position = self.primary.position()
        wait_until(lambda: self.replica.position() >= position, "the replica has everything")

    def switch(self) -> None:
        """Let them change places, as an administrator does: nothing is lost."""
        self.hand_over()
        self.replica.follow(self.primary)

    def hand_over(self) -> None:
        """Let the replica be the primary. The other takes no more writes, and follows nobody yet."""
        self.primary.demote()
        self.catch_up()
        self.replica.promote()
        self.primary, self.replica = self.replica, self.primary

    def close(self) -> None:
        self.primary.close()
        self.replica.close()


class ReplicatedPostgreSQL(Pausable, PostgreSQL):
    """One of two.

    Args:
        primary: Whom it follows; by default it is the primary.
    """

    def __init__(self, primary: "ReplicatedPostgreSQL | None" = None) -> None:
        self._primary = primary
        super().__init__()

    def promote(self) -> None:
        """Take writes, and follow nobody; there is no way back."""
        self.sql("SELECT pg_promote()")

    def demote(self) -> None:
        """Take no more writes. A real standby it cannot become: sessions may still ask for READ WRITE."""
        self.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        self.sql("SELECT pg_reload_conf()")

    def _install(self) -> None:
        if self._primary is None:
            return super()._install()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        command = [
            *self._as_user(),
            find_program("pg_basebackup"),
            f"--pgdata={self.folder / 'data'}",
            f"--dbname=host=127.0.0.1 port={self._primary.port} user=postgres",
            "--write-recovery-conf",  # and standby.signal
            "--checkpoint=fast",
            "--no-sync",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return None


class PostgreSQLPair:
    """Both; ``close()`` ends them.

    Attributes:
        primary: Which takes writes.
        standby: Which does not, and follows.
    """

    def __init__(self) -> None:
        with closed_on_failure() as stack:
            self.primary = ReplicatedPostgreSQL()
            stack.callback(self.primary.close)
            self.standby = ReplicatedPostgreSQL(self.primary)
            stack.callback(self.standby.close)

    def catch_up(self) -> None:
        """Wait until the standby has what the primary has now."""
        ((position,),) = self.primary.sql("SELECT pg_current_wal_lsn()")
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        wait_until(lambda: self.standby.sql(reached) == [["t"]], "the standby has everything")

    def close(self) -> None:
        self.primary.close()
        self.standby.close()
