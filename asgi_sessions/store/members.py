"""Which server of a cluster can serve us: one that takes writes, and belongs to the majority.

A member that is read-only, or cut off from the others, goes on answering reads: with what was true some time ago.
"""

from collections.abc import Mapping
from typing import Any

from asgi_sessions.store.database_clock import NOT_READ_ONLY
from asgi_sessions.store.mysql_session import LIFT_SELECT_LIMIT, strengthening
from asgi_sessions.store.opening import drop_postgresql, open_postgresql

__all__ = ["MySQLMembers", "NotServing", "PostgreSQLMembers"]

READ_ONLY, NO_MAJORITY = 1290, 1047
"""As MySQL and MariaDB number what such a member would answer."""
POSTGRESQL_READ_ONLY = "25006"

_VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
    "('read_only', 'wsrep_on', 'group_replication_group_name', 'group_replication_consistency')"
)
_IS_READY = "SHOW GLOBAL STATUS LIKE 'wsrep_ready'"


class NotServing(Exception):
    """A server answers, and is not the one to ask.

    Attributes:
        sqlstate: PostgreSQL's code for it; with MySQL and MariaDB the number is the first argument.
    """

    def __init__(self, code: int | str) -> None:
        super().__init__(code)
        self.sqlstate = code if isinstance(code, str) else None


class MySQLMembers:
    """Opens connections to members of Galera, of Group Replication, or to a primary with replicas."""

    async def open(self, **arguments: Any) -> Any:
        """As ``asyncmy.connect``; what it was opening is closed when it is cancelled."""
        import asyncmy  # noqa: PLC0415 - an extra

        return await asyncmy.connect(**arguments)

    async def check(self, connection: Any) -> None:
        """Raise unless the member takes writes and belongs to the majority.

        A member of Group Replication that is cut off shows no sign of it to a user without rights: a read that waits
        for the group is not answered. The caller waits no longer than it likes.
        """
        async with connection.cursor() as cursor:
            await cursor.execute(LIFT_SELECT_LIMIT)
            variables = await _rows(cursor, _VARIABLES)
            if variables.get("read_only", "OFF").upper() not in NOT_READ_ONLY:
                raise NotServing(READ_ONLY)
            if variables.get("wsrep_on") == "ON" and (await _rows(cursor, _IS_READY)).get("wsrep_ready") != "ON":
                raise NotServing(NO_MAJORITY)
            if variables.get("group_replication_group_name"):
                before, after = strengthening(variables) or ("DO 0", "DO 0")
                for statement in (before, "SELECT 1", after):
                    await cursor.execute(statement)

    def drop(self, connection: Any) -> None:
        connection.close()


class PostgreSQLMembers:
    """Opens connections to the one of several that takes writes: a primary with standbys."""

    async def open(self, **arguments: Any) -> Any:
        import asyncpg  # noqa: PLC0415 - an extra

        try:
            return await open_postgresql(**{**arguments, "target_session_attrs": "read-write"})
        except asyncpg.TargetServerAttributeNotMatched:
            raise NotServing(POSTGRESQL_READ_ONLY) from None

    async def check(self, connection: Any) -> None:
        """Nothing: the driver has asked."""

    def drop(self, connection: Any) -> None:
        drop_postgresql(connection)


async def _rows(cursor: Any, question: str) -> Mapping[str, str]:
    await cursor.execute(question)
    return {name.lower(): value for name, value in await cursor.fetchall()}
