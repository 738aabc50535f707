"""ip_address_retention: the purge takes addresses away so long after the login, and reads nothing where it is unset."""

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.store.personal_rows import PersonalRows
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager

DEVICE = Device("Firefox on Windows", "203.0.113.77")


async def log_in(sessions: SessionManager) -> None:
    await sessions.lifecycle.create(Login(user_id="alice"), device=DEVICE)


async def shown(sessions: SessionManager) -> list[tuple[str, str | None]]:
    return [(record.device_label, record.ip_address) for record in await sessions.list_sessions_for_user("alice")]


async def test_a_purge_takes_addresses_away_in_time(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(ip_address_retention="7d") as sessions:
        await log_in(sessions)
        clock.advance(days=7)
        await log_in(sessions)
        await sessions.purge_expired_sessions()
        assert await shown(sessions) == [("Firefox on Windows", "203.0.113.77")] * 2
        clock.advance(0.001)
        assert await sessions.purge_expired_sessions(limit=1) == 0
        assert await shown(sessions) == [("Firefox on Windows", "203.0.113.77"), ("Firefox on Windows", None)]


async def test_without_it_they_stay_as_long_as_the_session(
    new_manager: NewManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(PersonalRows, "forget_addresses")
    async with new_manager(idle_timeout="90d") as sessions:
        await log_in(sessions)
        clock.advance(days=89)
        await sessions.purge_expired_sessions()
        assert await shown(sessions) == [("Firefox on Windows", "203.0.113.77")]
