"""A refresh token that somebody has copied."""

import pytest

from asgi_sessions import SessionManager, TokenTheftDetected
from tests.clocks import MovableClock


async def use_stolen(stolen: str, sessions: SessionManager) -> None:
    """The browser has refreshed twice since, and so the copy is known for what it is."""
    clock = sessions.clock
    assert isinstance(clock, MovableClock)
    mine = stolen
    for _ in range(2):
        clock.advance(250)
        mine = (await sessions.refresh_session_without_request(mine)).refresh_token.value
    clock.advance(250)
    with pytest.raises(TokenTheftDetected):
        await sessions.refresh_session_without_request(stolen)
