"""Servers whose data is on a disk of their own, so small that a test can fill it."""

import contextlib
import shutil
import subprocess
from pathlib import Path

from tests.clusters.nodes import MySQLNode
from tests.engines_used import leave_out
from tests.servers import PostgreSQL, Server

SIZE = "96m"


class OnSmallDisk(Server):
    """A server on such a disk: what it logs, and its temporary files, are elsewhere."""

    def fill(self) -> None:
        """Leave no byte free."""
        with contextlib.suppress(OSError), self._big_file.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))

    def empty(self) -> None:
        """Take away what filled it."""
        self._big_file.unlink()

    def told(self, words: str) -> bool:
        """Whether its log says so."""
        return words in (self.folder / "server.log").read_text(errors="replace")

    def close(self) -> None:
        self.kill()
        subprocess.run(["umount", "--lazy", str(self._disk)], check=False, capture_output=True)
        super().close()

    @property
    def _disk(self) -> Path:
        return self.folder / "data"

    @property
    def _big_file(self) -> Path:
        return self._disk / "big"

    def _install(self) -> None:
        self._disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(self._disk)]
        if (done := subprocess.run(mount, check=False, capture_output=True, text=True)).returncode:
            leave_out(f"a small disk takes root, and the right to mount: {done.stderr.strip()}")
        if isinstance(self, PostgreSQL):
            shutil.chown(self._disk, "postgres")
        super()._install()


class FullMariaDB(OnSmallDisk, MySQLNode):
    """MariaDB on a small disk."""


class FullMariaDBWithLog(FullMariaDB):
    """The same, which writes a binary log, as every primary does."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--log-bin", "--binlog-format=ROW"]


class FullPostgreSQL(OnSmallDisk, PostgreSQL):
    """PostgreSQL on a small disk."""
