"""Tables with rows are brought up to date while workers of the version before go on with them."""

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import Table, bindparam, func, select

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import REVISIONS, run, upgrade
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import DEFAULT_TABLE_PREFIX, build_tables
from tests.store.rows import ALICE, NOW, session_row
from tests.store.test_migrations import sessions_table

ROWS, OLD_WORKERS = 5000, 4


class OldWorkers:
    """What workers of an earlier revision do all the time: logins, refreshes and logouts, by the columns they know.

    Args:
        database: Where the tables are of that revision.
        table: The sessions, as it has them.
    """

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table
        self._numbers = itertools.count()
        self._of_handle = table.c.handle == bindparam("p_handle")
        self._refresh = table.update().where(self._of_handle).values(gen=table.c.gen + 1)
        self._revoke = table.update().where(self._of_handle).values(revoked_at=bindparam("at"), revoked_reason="logout")
        self.over = False
        self.live: list[str] = []
        self.ended: list[str] = []

    def values(self, handle: str) -> dict[str, Any]:
        return {column.name: getattr(session_row(handle), column.name) for column in self._table.columns}

    async def work(self) -> None:
        """Go on until it is over. Any error is one."""
        while not self.over:
            handle = f"old{next(self._numbers)}"
            await self._database.run(self._table.insert().values(self.values(handle)))
            assert (await self._database.run(self._refresh, {"p_handle": handle})).rowcount == 1
            found = await self._database.run(select(self._table.c.gen).where(self._of_handle), {"p_handle": handle})
            assert found.rows == [(session_row().gen + 1,)]
            if len(self.live) > len(self.ended):
                assert (await self._database.run(self._revoke, {"p_handle": handle, "at": NOW})).rowcount == 1
                self.ended.append(handle)
            else:
                self.live.append(handle)

    async def have_done(self, more: int, tasks: list["asyncio.Task[None]"]) -> None:
        """Return when they have made so many sessions more, or one of them has failed."""
        wanted = len(self.live) + len(self.ended) + more
        while len(self.live) + len(self.ended) < wanted and not any(task.done() for task in tasks):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_workers_of_an_earlier_revision_go_on_while_it_is_replaced(bare: Database, revision: str) -> None:
    await run.migrate(bare, DEFAULT_TABLE_PREFIX, revision=revision)
    table = await sessions_table(bare)
    workers = OldWorkers(bare, table)
    rows = [workers.values(f"row{number:05}") for number in range(ROWS)]
    async with bare.engine.connect() as connection:
        await connection.execute(table.insert(), rows)
    tasks = [asyncio.ensure_future(workers.work()) for _ in range(OLD_WORKERS)]
    newer = await open_database(bare.url)
    try:
        await workers.have_done(2 * OLD_WORKERS, tasks)
        await upgrade(newer)
        await workers.have_done(2 * OLD_WORKERS, tasks)
    finally:
        workers.over = True
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()
    sessions = SessionRepository(newer, build_tables())
    assert set(await sessions.handles_of(ALICE, NOW)) == {row["handle"] for row in rows} | set(workers.live)
    for handle in (*workers.live, *workers.ended):
        row = await sessions.find(handle)
        assert row is not None
        assert (row.gen, row.revoked_at) == (session_row().gen + 1, NOW if handle in workers.ended else None)
    count = await newer.run(select(func.count()).select_from(build_tables().sessions))
    assert count.rows == [(ROWS + len(workers.live) + len(workers.ended),)]
    await newer.close()
