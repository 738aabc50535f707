"""Users who may be meant, because the administrator does not see which type the application's ids have."""

import sys
from collections.abc import Sequence

from asgi_sessions.cli.printing import say, shown
from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager import SessionManager
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.user_id import UserId


async def namesakes_of(manager: SessionManager, user: UserId) -> Sequence[tuple[UserId, int]]:
    """Users of the same text and another type, and how many sessions they have."""
    try:
        return await manager.lifecycle.lists.namesakes_of(user)
    except StoreUnavailable:
        return ()  # what was asked for is done


def tell_of(namesakes: Sequence[tuple[UserId, int]], user: UserId) -> None:
    """Name them."""
    for other, count in namesakes:
        kind = user_id.type_name(other)
        cure = f"use --id-type {kind}" if kind != user_id.type_name(user) else "write it so"
        say(f"User {shown(other)} ({kind}) has {count}: {cure}.", sys.stderr)
