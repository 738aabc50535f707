"""A MariaDB with room for millions of sessions in memory."""

import time
from collections.abc import Iterable
from typing import Any

from tests.servers import MariaDB

__all__ = ["RoomyMariaDB"]

SETTLING_SECONDS = 1800
FEW_PAGES = 200


class RoomyMariaDB(MariaDB):
    """A private server whose whole data fits into its buffer pool, as a production server's hot data does.

    Args:
        buffer_pool_mb: For data and indexes; two million sessions take about 1.3 GB.
    """

    statement_seconds = 7200  # tens of millions of rows are inserted by a few statements

    def __init__(self, buffer_pool_mb: int = 128) -> None:
        self._buffer_pool_mb = buffer_pool_mb
        super().__init__()

    def _common(self) -> list[str]:
        ours = [f"--innodb-buffer-pool-size={self._buffer_pool_mb}M"]
        if self._buffer_pool_mb >= 1024:
            # Filling two million rows through a small log would be one checkpoint after another.
            # InnoDB's 200 pages a second would not have them on the disk for minutes.
            ours += ["--innodb-log-file-size=1G", "--innodb-io-capacity=20000"]
            ours.append("--innodb-sort-buffer-size=64M")  # indexes of millions of rows are built by fewer merges
        return [*super()._common(), *ours]

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def settle(self) -> None:
        """Wait until what was written lately is on the disk: nobody's statements are to pay for that."""
        usual = self.sql("SELECT @@innodb_max_dirty_pages_pct")[0][0]
        self.sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + SETTLING_SECONDS
        while self.status(["Innodb_buffer_pool_pages_dirty"])["Innodb_buffer_pool_pages_dirty"] > FEW_PAGES:
            if time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB is still writing after {SETTLING_SECONDS} s")
            time.sleep(0.5)
        self.sql(f"SET GLOBAL innodb_max_dirty_pages_pct = {usual}")

    def status(self, names: Iterable[str]) -> dict[str, int]:
        """Global status variables by name. Asking is itself one statement (``Questions``)."""
        wanted = ",".join(f"'{name}'" for name in names)
        rows: list[Any] = self.sql(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({wanted})")
        return {name: int(value) for name, value in rows}
