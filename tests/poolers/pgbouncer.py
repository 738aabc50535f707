"""A private PgBouncer before a PostgreSQL server, in its transaction mode."""

import os
import shutil
from pathlib import Path

from tests.servers import PostgreSQL
from tools.engines import ENGINES, find_program


class PgBouncer(PostgreSQL):
    """Lends few connections, as versions before 1.21 do: without following prepared statements.

    Args:
        server: Whose connections. Its user ``postgres`` is everybody's here.
    """

    name = "pgbouncer"

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server
        super().__init__()

    def _install(self) -> None:
        (self.folder / "data").mkdir()

    def _data_folder(self) -> str:
        settings = {row[0]: row[1] for row in self.sql("SHOW CONFIG", "pgbouncer")}
        return str(Path(settings["logfile"]).parent)

    def _command(self) -> list[str]:
        file = self.folder / "data" / "pgbouncer.ini"
        file.write_text(
            f"""
[databases]
* = host=127.0.0.1 port={self._server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
auth_type = any
pool_mode = transaction
default_pool_size = 4
unix_socket_dir =
logfile = {file.with_suffix(".log")}
{"max_prepared_statements = 0" if _follows_prepared_statements() else ""}
"""
        )
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (self.folder, file.parent, file):
                shutil.chown(path, "postgres")
        return [*self._as_user(), find_program("pgbouncer"), str(file)]


def _follows_prepared_statements() -> bool:
    """Whether it can, as it does from 1.24 on by default."""
    (engine,) = (engine for engine in ENGINES if engine.name == PgBouncer.name)
    major, minor = map(int, engine.version().split(".")[:2])
    return (major, minor) >= (1, 21)
