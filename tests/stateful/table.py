"""The sessions table, read beside the package and compared with the model's rows, column by column."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.stateful.profiles import persistent
from tests.stateful.records import Login, Row
from tests.stateful.wire import stored_hash

SLACK = 2_000
"""How far the database's clock may be from this machine's, ms."""

_READ = text("SELECT * FROM asgi_sessions_sessions")
_CLOCK = text("SELECT value FROM asgi_sessions_state WHERE name = 'revocation_clock'")
_EMPTY = text("DELETE FROM asgi_sessions_sessions")
_DATE = text("UPDATE asgi_sessions_sessions SET revoked_at = :revoked_at WHERE handle = :handle")
_PUT_BACK = text(
    "UPDATE asgi_sessions_sessions SET gen = :gen, cur = :cur, cur_iat = :cur_iat, prev = :prev, "
    "promoted_at = :promoted_at, last_active_at = :last_active_at, idle_expires_at = :idle_expires_at, "
    "late_gen = :late_gen, late_at = :late_at, late_count = :late_count, "
    "jwt_payload = :jwt_payload, payload_version = :payload_version, session_info = :session_info, "
    "revoked_at = NULL, revoked_reason = NULL "
    "WHERE handle = :handle"
)
_JSON = ("jwt_payload", "session_info")


Work = Callable[[Connection], Any]
Run = Callable[[Work | None], Awaitable[None]]
"""Does some work on the connection; None closes it."""


class Table:
    """The table of one database, over a connection of its own in which every statement stands alone."""

    def __init__(self, database_url: str) -> None:
        self._run = _on_sqlite(database_url) if database_url.startswith("sqlite") else _on_server(database_url)
        self._dated: set[str] = set()

    async def close(self) -> None:
        await self._run(None)

    async def empty(self) -> None:
        self._dated.clear()
        await self._run(lambda connection: connection.execute(_EMPTY))

    async def put_back(self, row: Row) -> None:
        """Restore a row from a backup."""
        values = _columns(row)
        for name in _JSON:
            values[name] = json.dumps(values[name])
        self._dated.discard(row.login.handle)
        await self._run(lambda connection: connection.execute(_PUT_BACK, values))

    async def compare(self, rows: Mapping[Login, Row], since: int) -> None:
        """Every row is there as the model says, and no other.

        The time of a revocation is the database's own: it must be between `since` (ms, of this machine) and now, or
        what the revocation clock shows. The story's clocks move on by hours meanwhile, so that time is then set to the
        story's, and the revocation clock, which no tombstone may lie behind, follows it.
        """
        expected = {row.login.handle: _columns(row) for row in rows.values()}
        await self._run(lambda connection: self._compare(connection, expected, since))

    def _compare(self, connection: Connection, expected: Mapping[str, Mapping[str, Any]], since: int) -> None:
        found = {row["handle"]: dict(row) for row in connection.execute(_READ).mappings().all()}
        assert found.keys() == expected.keys()
        clock = connection.execute(_CLOCK).scalar() or 0
        for handle, row in found.items():
            wanted = expected[handle]
            for name in _JSON:
                row[name] = json.loads(row[name])
            if row["revoked_at"] is not None and wanted["revoked_at"] is not None and handle not in self._dated:
                assert since - SLACK <= row["revoked_at"] <= max(_machine_time() + SLACK, clock)
                row["revoked_at"] = wanted["revoked_at"]
                connection.execute(_DATE, {"handle": handle, "revoked_at": row["revoked_at"]})
                self._dated.add(handle)
            assert row.keys() == wanted.keys()
            differences = {name: (value, wanted[name]) for name, value in row.items() if value != wanted[name]}
            assert not differences, "columns, and what the model holds in them"


def _on_sqlite(database_url: str) -> Run:
    # Without the driver's thread: to and fro between threads would take longer than all the rest.
    engine = create_engine(database_url.replace("+aiosqlite", ""), isolation_level="AUTOCOMMIT")
    connection = engine.connect()

    async def run(work: Work | None) -> None:
        if work is not None:
            work(connection)
        else:
            connection.close()
            engine.dispose()

    return run


def _on_server(database_url: str) -> Run:
    engine = create_async_engine(database_url, isolation_level="AUTOCOMMIT")
    connection = engine.connect()

    async def run(work: Work | None) -> None:
        if not connection.sync_connection:
            await connection.start()
        if work is not None:
            await connection.run_sync(work)
        else:
            await connection.close()
            await engine.dispose()

    return run


def _columns(row: Row) -> dict[str, Any]:
    current = row.current
    return {
        "handle": row.login.handle,
        "user_id": b"s:" + row.user.encode(),
        "gen": current.generation,
        "cur": stored_hash(current),
        "cur_iat": current.issued_at,
        "prev": stored_hash(current.parent) if current.parent else None,
        "promoted_at": row.promoted_at,
        "created_at": row.created_at,
        "last_active_at": row.last_active_at,
        "auth_time": row.created_at,
        "expires_at": row.expires_at,
        "idle_expires_at": row.idle_expires_at,
        "revoked_at": row.revoked_at,
        "revoked_reason": row.reason,
        "jwt_payload": row.payload,
        "payload_version": row.version,
        "session_info": row.info,
        "device_label": "Unknown device",
        "ip_address": row.address,
        "late_gen": row.late_generation,
        "late_at": row.late_at,
        "late_count": row.late_parents,
        "idle_timeout": None,
        "persistent": int(persistent(row.user)),
        "actor": None,
        "methods": "{}",
    }


def _machine_time() -> int:
    return time.time_ns() // 1_000_000
