"""Who does a job that one worker should do: a row that is taken by compare-and-swap.

Not ``GET_LOCK``: it is local to a node of a Galera cluster, and leaks through a connection pool.
"""

from sqlalchemy import BigInteger, bindparam, insert, or_, select, update

from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.schema import Tables

__all__ = ["LeaseStore"]


class LeaseStore:
    """Leases by name. A lease ends by time only, so a worker that dies blocks nobody for longer."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        leases = tables.leases
        of_name = leases.c.name == bindparam("p_name")
        free = or_(
            leases.c.holder == bindparam("p_holder"),
            leases.c.expires_at <= bindparam("now", type_=BigInteger),
        )
        self._take = (
            update(leases).where(of_name, free).values(holder=bindparam("p_holder"), expires_at=bindparam("until"))
        )
        self._exists = select(leases.c.name).where(of_name)
        self._insert = insert(leases).values(
            name=bindparam("p_name"), holder=bindparam("p_holder"), expires_at=bindparam("until")
        )

    async def acquire(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take a lease that is free, has run out, or is the caller's own.

        Safe to repeat after any failure, since the holder takes its own lease again.

        Args:
            name: The job, at most 40 ASCII characters.
            holder: The worker, at most 64 ASCII characters, unique among all workers and their restarts.
            now: ms.
            until: When the lease ends, ms.
        """
        values = {"p_name": name, "p_holder": holder, "until": until}
        if (await self._run(self._take, values | {"now": now})).rowcount == 1:
            return True
        if (await self._run(self._exists, {"p_name": name})).rows:
            return False
        try:
            await self._run(self._insert, values)
        except DuplicateKey:
            return (await self._run(self._take, values | {"now": now})).rowcount == 1
        return True
