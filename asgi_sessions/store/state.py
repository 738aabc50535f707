"""Numbers that all workers share, by name: what one worker has learned or decided for good."""

from sqlalchemy import BigInteger, bindparam, insert, select, update

from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables, of_tables

__all__ = ["StateStore"]


class _Statements:
    """Those about the state table."""

    def __init__(self, tables: Tables) -> None:
        state = tables.state
        named = state.c.name == bindparam("p_name")
        value = bindparam("p_value", type_=BigInteger)
        self.all = prepared(select(state.c.name, state.c.value))
        self.insert = insert(state).values(name=bindparam("p_name"), value=value)
        self.lift = update(state).where(named, state.c.value < value).values(value=value)


class StateStore:
    """Every statement about the state table, but for those of other tables that read it along.

    Each is safe to repeat. Failures as in ``SessionRepository``.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def all(self) -> dict[str, int]:
        """Return every number by its name, with what any other worker has written just now."""
        return {str(name): int(value) for name, value in (await self._run(self._statements.all, strong=True)).rows}

    async def settle(self, name: str, value: int) -> int:
        """Write a number unless there is one of that name, and return the one that counts from now on."""
        known = (await self.all()).get(name)
        if known is not None:
            return known
        try:
            await self._run(self._statements.insert, {"p_name": name, "p_value": value})
        except DuplicateKey:
            return (await self.all()).get(name, value)
        return value

    async def raise_to(self, name: str, value: int) -> int:
        """Make a number at least as high, and return what it is then. It is never lowered."""
        known = await self.settle(name, value)
        if known >= value:
            return known
        await self.lift(name, value)
        return max(value, (await self.all()).get(name, value))

    async def lift(self, name: str, value: int) -> None:
        """Make a number that is there at least as high, with one statement."""
        await self._run(self._statements.lift, {"p_name": name, "p_value": value})
