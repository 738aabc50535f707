"""A private PgBouncer before a PostgreSQL server, in its transaction mode."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import START_SECONDS, PostgreSQL, free_port
from tools.engines import find_program


@contextlib.contextmanager
def pgbouncer(server: PostgreSQL) -> Iterator[int]:
    """Run one that lends few connections, as versions before 1.21 do, and give its port on 127.0.0.1."""
    folder = Path(tempfile.mkdtemp(prefix="asgi-sessions-pgbouncer-"))
    port = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""
[databases]
* = host=127.0.0.1 port={server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 4
unix_socket_dir =
logfile = {folder / "pgbouncer.log"}
{"max_prepared_statements = 0" if _knows_prepared_statements() else ""}
"""
    )
    as_user: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        for file in (folder, settings):
            shutil.chown(file, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    process = subprocess.Popen(
        [*as_user, find_program("pgbouncer"), str(settings)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process, folder)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _knows_prepared_statements() -> bool:
    """Whether it can follow them from connection to connection, as it does from 1.24 on by default."""
    told = subprocess.run([find_program("pgbouncer"), "--version"], check=True, capture_output=True, text=True).stdout
    major, minor = told.split()[1].split(".")[:2]
    return (int(major), int(minor)) >= (1, 21)


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"PgBouncer did not start:\n{(folder / 'pgbouncer.log').read_text()[-2000:]}")
