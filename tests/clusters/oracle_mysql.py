"""A server of Oracle's MySQL, from the tree that tools/mysql_tree.py unpacks."""

import subprocess

from tests.clusters.nodes import MySQLNode
from tools.engines import find_program

ROOT = """CREATE USER root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
"""
"""The one that there is may connect by the socket alone."""


class OracleMySQL(MySQLNode):
    """A single one; the user of applications is ``app``, without a password."""

    name = "oracle-mysql"
    client = "oracle-mysql"

    def _install(self) -> None:
        statements = self.folder / "init.sql"
        statements.write_text(ROOT)
        command = [*self._server(), "--initialize-insecure", "--skip-log-bin", f"--init-file={statements}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        return [
            *self._server(),
            f"--socket={self.folder / 'server.sock'}",
            f"--pid-file={self.folder / 'server.pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--mysqlx=OFF",
            "--skip-name-resolve",
            "--performance-schema=OFF",
            # As for MariaDB: a killed process loses nothing.
            "--innodb-flush-log-at-trx-commit=2",
            "--sync-binlog=0",
        ]

    def _server(self) -> list[str]:
        return [
            find_program("oracle-mysqld"),
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            "--secure-file-priv=NULL",
            "--innodb-redo-log-capacity=32M",  # with less, an empty server takes seconds to make
            "--innodb-buffer-pool-size=16M",
            "--table-open-cache=400",
            *self._as_user(),
        ]
