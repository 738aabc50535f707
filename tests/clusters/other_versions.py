"""Versions that the system does not have, from the trees that tools/trees.py unpacks."""

import subprocess
from pathlib import Path

from tests.clusters.nodes import MySQLNode
from tests.clusters.replica import ReplicatedMariaDB
from tests.engines_used import leave_out
from tests.servers import PostgreSQL
from tools.engines import find_program


class MariaDB118(MySQLNode):
    """MariaDB of Debian 13; the user of applications is ``app``, without a password."""

    suffix = "-11.8"

    def _common(self) -> list[str]:
        if not self.suffix:
            return super()._common()
        server = Path(find_program(f"mariadbd{self.suffix}"))
        return [*super()._common(), f"--basedir={server.resolve().parents[1]}"]

    def _client_options(self) -> list[str]:
        return ["--skip-ssl", *super()._client_options()]  # it insists on TLS from 11.4 on


class UpgradableMariaDB(MariaDB118):
    """It begins as the version that is installed, and goes on as the other with the same data."""

    suffix = ""

    def upgrade(self) -> None:
        """Stop it, and start the newer version: it serves before its own tables are brought up to date."""
        self.stop()
        self.suffix = MariaDB118.suffix
        self.start()

    def upgrade_tables(self) -> None:
        """Bring the server's own tables up to date, and look through all others, while it serves."""
        program = find_program(f"mariadb-upgrade{self.suffix}")
        command = [program, "--no-defaults", *self._client_options(), "-uroot"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


class UpgradableReplica(ReplicatedMariaDB, UpgradableMariaDB):
    """One of two."""


class PostgreSQLTree(PostgreSQL):
    """PostgreSQL from a tree, which another user has to reach if this one is root."""

    def _install(self) -> None:
        program = find_program(f"postgres{self.suffix}")
        if subprocess.run([*self._as_user(), "test", "-x", program], check=False).returncode:
            leave_out(f"the user postgres may not read {program}: have this checkout where it may")
        super()._install()


class PostgreSQL16(PostgreSQLTree):
    """Whose npm package has no psql: any version's serves."""

    suffix = "-16"


class PostgreSQL17(PostgreSQLTree):
    """PostgreSQL of Debian 13."""

    suffix = "-17"


class PostgreSQL18(PostgreSQLTree):
    """The newest."""

    suffix = "-18"
