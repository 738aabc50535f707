"""What sessions hold about people goes when it is asked to go, part by part, and nothing else does."""

import secrets
from typing import Any

import pytest
from sqlalchemy import select

from asgi_sessions.store import personal_rows
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.store.rows import HOUR, NOW, session_row

SESSIONS = 40


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_rows, "WALK_BATCH", 4)


async def filled(sessions: SessionRepository, **changes: Any) -> list[str]:
    handles = [secrets.token_hex(16) for _ in range(SESSIONS)]
    for handle in handles:
        await sessions.insert(session_row(handle, **changes))
    return handles


async def addresses(database: Database) -> dict[str, str | None]:
    table = build_tables().sessions.c
    return dict((await database.run(select(table.handle, table.ip_address))).rows)


async def test_addresses_of_old_logins_go_and_those_of_later_ones_stay(
    database: Database, sessions: SessionRepository
) -> None:
    old = await filled(sessions, created_at=NOW - 1)
    ended = await filled(sessions, created_at=NOW - 1, revoked_at=NOW)
    young = await filled(sessions, created_at=NOW)
    await sessions.insert(session_row("h1", created_at=NOW - HOUR))  # handles that others have made
    await sessions.insert(session_row("~z", created_at=NOW - HOUR))
    assert await sessions.forget_addresses(NOW) == 2 * SESSIONS + 2
    assert await addresses(database) == {
        **dict.fromkeys([*old, *ended, "h1", "~z"], None),
        **dict.fromkeys(young, "192.0.2.1"),
    }
    assert await sessions.forget_addresses(NOW) == 0


async def test_nothing_but_the_address_goes(sessions: SessionRepository) -> None:
    (handle, *_) = await filled(sessions)
    await sessions.forget_addresses(NOW + 1)
    row = await sessions.find(handle)
    assert row == session_row(handle, ip_address=None, session_info=None)
