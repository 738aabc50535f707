"""Who does a job that one worker should do: a row that is taken by compare-and-swap.

Not ``GET_LOCK``: it is local to a node of a Galera cluster, and leaks through a connection pool.
"""

from sqlalchemy import BigInteger, bindparam, insert, or_, select, update

from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.schema import Tables, of_tables

__all__ = ["LeaseStore"]

BELIEVED_TIMES = 2
"""Of the caller's own duration: workers' settings, and nodes' clocks, may differ by so much."""


class _Statements:
    """Those about leases."""

    def __init__(self, tables: Tables) -> None:
        leases = tables.leases
        of_name = leases.c.name == bindparam("p_name")
        duration = bindparam("duration", type_=BigInteger)
        until = database_now() + duration
        free = or_(
            leases.c.holder == bindparam("p_holder"),
            leases.c.expires_at <= database_now(),
            # Older versions took leases by the worker's clock: one that is days ahead must not hold it for days.
            leases.c.expires_at > database_now() + duration * BELIEVED_TIMES,
        )
        self.take = update(leases).where(of_name, free).values(holder=bindparam("p_holder"), expires_at=until)
        held = leases.c.holder == bindparam("p_holder")
        self.give_back = update(leases).where(of_name, held).values(expires_at=database_now())
        self.exists = select(leases.c.name).where(of_name)
        self.insert = insert(leases).values(name=bindparam("p_name"), holder=bindparam("p_holder"), expires_at=until)


class LeaseStore:
    """Leases by name. A lease ends by time, so a worker that dies blocks nobody for longer.

    The time is the database's, within the statement: no worker's wrong clock makes a lease longer.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def acquire(self, name: str, holder: str, duration: int) -> bool:
        """Take a lease that is free, has run out, or is the caller's own.

        Safe to repeat after any failure, since the holder takes its own lease again.

        Args:
            name: The job, at most 40 ASCII characters.
            holder: The worker, at most 64 ASCII characters, unique among all workers and their restarts.
            duration: For how long from now, ms. What another worker holds for more than twice as long is not believed.
        """
        values = {"p_name": name, "p_holder": holder, "duration": duration}
        if (await self._run(self._statements.take, values)).rowcount == 1:
            return True
        if (await self._run(self._statements.exists, {"p_name": name})).rows:
            return False
        try:
            await self._run(self._statements.insert, values)
        except DuplicateKey:
            return (await self._run(self._statements.take, values)).rowcount == 1
        return True

    async def give_back(self, name: str, holder: str) -> None:
        """End a lease before its time, if the caller holds it: whoever asks next gets it."""
        await self._run(self._statements.give_back, {"p_name": name, "p_holder": holder})
