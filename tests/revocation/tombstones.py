"""Rows of revoked sessions, one by one or by the million."""

import secrets
from typing import Any

from sqlalchemy import insert, select, text

from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import Database
from asgi_sessions.store.schema import build_tables
from tests.store.rows import session_row

_NUMBERS = {
    "mysql": "(SELECT seq AS n FROM seq_1_to_{count})",
    "postgresql": "GENERATE_SERIES(1, {count}) AS numbers(n)",
    "sqlite": "numbers",
}
_HANDLE = {
    "mysql": "MD5(CONCAT('{salt}', n))",
    "postgresql": "MD5('{salt}' || n)",
    "sqlite": "LOWER(HEX(RANDOMBLOB(16)))",
}
_SQLITE_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
_SPREAD = {"mysql": "(n DIV 100)", "postgresql": "(n / 100)", "sqlite": "(n / 100)"}
_COLUMNS = (
    "handle, user_id, gen, cur, cur_iat, created_at, last_active_at, auth_time, expires_at, idle_expires_at,"
    " revoked_at, revoked_reason, jwt_payload, session_info, device_label"
)
_NAMES = [column.name for column in build_tables().sessions.columns]


def some_handle() -> str:
    return secrets.token_hex(16)


class Cemetery:
    """Puts tombstones where the feed looks for them, at any time of the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = build_tables().sessions
        self._changes = build_tables().payload_changes

    async def now(self) -> int:
        """The database's time, ms."""
        return int((await self._database.run(select(database_now()))).rows[0][0])

    async def bury(self, *handles: str, at: int | None = None, idle_expires_at: int | None = None) -> None:
        """Insert revoked sessions.

        Args:
            *handles: Whose.
            at: Their `revoked_at`; now, where None.
            idle_expires_at: The second column of the index; of each row its own, where None.
        """
        moment = await self.now() if at is None else at
        rows = []
        for number, handle in enumerate(handles):
            idle = moment + number if idle_expires_at is None else idle_expires_at
            row = session_row(handle, revoked_at=moment, revoked_reason="logout", idle_expires_at=idle)
            rows.append({name: getattr(row, name) for name in _NAMES})
        async with self._database.engine.connect() as connection:
            await connection.execute(insert(self._sessions), rows)

    async def change(self, *changes: tuple[str, int], at: int | None = None) -> None:
        """Insert changes of payloads.

        Args:
            *changes: Of which sessions, each with the version of its payload.
            at: Their `changed_at`; now, where None.
        """
        moment = await self.now() if at is None else at
        rows = [{"handle": handle, "changed_at": moment, "payload_version": version} for handle, version in changes]
        async with self._database.engine.connect() as connection:
            await connection.execute(insert(self._changes), rows)

    async def live(self, *handles: str, **columns: Any) -> None:
        """Insert sessions that nobody has ended.

        Args:
            *handles: Whose.
            **columns: Of their rows, beside the usual ones.
        """
        rows = [session_row(handle, **columns) for handle in handles]
        async with self._database.engine.connect() as connection:
            values = [{name: getattr(row, name) for name in _NAMES} for row in rows]
            await connection.execute(insert(self._sessions), values)

    async def let_statistics_know(self, count: int) -> None:
        """Let PostgreSQL know of so many live sessions and changes alone, whatever is added until the next ANALYZE.

        Else it knows what some test before wrote, or what its autovacuum saw meanwhile.
        """
        now = await self.now()
        async with self._database.engine.connect() as connection:
            for name in (self._sessions.name, self._changes.name):
                await connection.execute(text(f"ALTER TABLE {name} SET (autovacuum_enabled = false)"))
                await connection.execute(text(f"TRUNCATE {name}"))
        await self.fill(count, ending_at=now, live=True)
        await self.fill_with_changes(count, ending_at=now, apart_ms=1)

    async def fill(
        self,
        count: int,
        *,
        ending_at: int,
        apart_ms: int = 1,
        live: bool = False,
        owner: bytes = b"\0",
        analysed: bool = True,
    ) -> None:
        """Insert many rows with one statement, a hundred for each time.

        Args:
            count: How many, a multiple of 100.
            ending_at: The time of the youngest, ms.
            apart_ms: Between one hundred and the next.
            live: Sessions that nobody has ended, in place of tombstones.
            owner: The stored form of the user's id.
            analysed: Whether the server is to look at them, so that it plans by them.
        """
        dialect = self._database.dialect
        salt = secrets.token_hex(4)
        moment = f"{ending_at - count // 100 * apart_ms} + {_SPREAD[dialect]} * {apart_ms}"
        revoked = "NULL, NULL" if live else f"{moment}, 'logout'"
        idle = f"{ending_at + 10**8} + n" if live else f"{ending_at + 10**8} + n % 7"
        blob = {"mysql": "X'00'", "postgresql": "'\\x00'::bytea", "sqlite": "X'00'"}[dialect]
        user = f"'\\x{owner.hex()}'::bytea" if dialect == "postgresql" else f"X'{owner.hex()}'"
        values = (
            f"{_HANDLE[dialect].format(salt=salt)}, {user}, 0, {blob}, 0, 0, 0, 0, {ending_at + 10**9},"
            f" {idle}, {revoked}, 'null', 'null', 'Firefox'"
        )
        numbers = _NUMBERS[dialect].format(count=count)
        alias = " AS numbers" if dialect == "mysql" else ""
        start = _SQLITE_NUMBERS.format(count=count) if dialect == "sqlite" else ""
        patience = "SET STATEMENT max_statement_time = 0 FOR " if dialect == "mysql" else ""
        statement = (
            f"{patience}INSERT INTO {self._sessions.name} ({_COLUMNS}) {start}SELECT {values} FROM {numbers}{alias}"
        )
        async with self._database.engine.connect() as connection:
            await connection.execute(text(statement.replace(":", "\\:")))
            if dialect != "sqlite" and analysed:
                analyse = "ANALYZE TABLE" if dialect == "mysql" else "ANALYZE"
                await connection.execute(text(f"{analyse} {self._sessions.name}"))

    async def fill_with_changes(self, count: int, *, ending_at: int, apart_ms: int, analysed: bool = True) -> None:
        """Insert many changes of payloads with one statement, a hundred for each time; see `fill`."""
        dialect = self._database.dialect
        moment = f"{ending_at - count // 100 * apart_ms} + {_SPREAD[dialect]} * {apart_ms}"
        handle = _HANDLE[dialect].format(salt=secrets.token_hex(4))
        alias = " AS numbers" if dialect == "mysql" else ""
        start = _SQLITE_NUMBERS.format(count=count) if dialect == "sqlite" else ""
        numbers = _NUMBERS[dialect].format(count=count)
        name = self._changes.name
        statement = (
            f"INSERT INTO {name} (handle, changed_at, payload_version)"
            f" {start}SELECT {handle}, {moment}, 1 FROM {numbers}{alias}"
        )
        async with self._database.engine.connect() as connection:
            await connection.execute(text(statement))
            if dialect != "sqlite" and analysed:
                await connection.execute(text(f"{'ANALYZE TABLE' if dialect == 'mysql' else 'ANALYZE'} {name}"))

    async def handles(self) -> list[str]:
        """Of all that lie here, in no order."""
        chosen = select(self._sessions.c.handle).where(self._sessions.c.revoked_at.is_not(None))
        return [handle for (handle,) in (await self._database.run(chosen)).rows]

    async def handles_of(self, owner: bytes) -> list[str]:
        """Of all of a user's sessions, in no order."""
        chosen = select(self._sessions.c.handle).where(self._sessions.c.user_id == owner)
        return [handle for (handle,) in (await self._database.run(chosen)).rows]

    async def explain(self, statement: str) -> list[Any]:
        """What the server means to do."""
        async with self._database.engine.connect() as connection:
            return list((await connection.execute(text(statement.replace(":", "\\:")))).all())
