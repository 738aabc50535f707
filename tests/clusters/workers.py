"""Workers on a cluster, and what users do on them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import make_url

from asgi_sessions import SessionManager, SessionSettings, StoreUnavailable, Unauthorised
from tests.patience import PATIENCE
from tests.servers import Server

SECRET = "0123456789abcdef0123456789abcdef-first"
_T = TypeVar("_T")

SERVED, GONE, UNAVAILABLE = "served", "gone", "unavailable"


def address(nodes: Sequence[Server], database: str) -> str:
    """The address of all of them."""
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    url = make_url(nodes[0].url(database))
    return f"{url.drivername}://{url.username}@{hosts}/{database}"


def new_database(writer: Server) -> str:
    """Make an empty one, and return its name."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    writer.create(name)
    return name


def worker(url: str, **settings: Any) -> SessionManager:
    return SessionManager(
        SessionSettings(database_url=url, secret_key=SECRET, **{"revocation_poll_interval": 0.2, **settings})
    )


async def log_in(sessions: SessionManager, user: str) -> tuple[str, str, str]:
    """The session's handle, its access token and its refresh token."""
    issued = await sessions.create_new_session_without_request(user)
    return issued.session.session_handle, issued.access_token.value, issued.refresh_token.value


async def asked(sessions: SessionManager, token: str, *, check_database: bool = False) -> str:
    """What becomes of a request."""
    try:
        await sessions.get_session_without_request(token, check_database=check_database)
    except Unauthorised:
        return GONE
    except StoreUnavailable:
        return UNAVAILABLE
    return SERVED


async def is_served(sessions: SessionManager, token: str) -> bool:
    return await asked(sessions, token) == SERVED


async def is_gone(sessions: SessionManager, token: str) -> bool:
    return await asked(sessions, token) == GONE


async def is_unavailable(sessions: SessionManager, token: str) -> bool:
    return await asked(sessions, token) == UNAVAILABLE


async def until(condition: Callable[..., Awaitable[bool]], *arguments: Any) -> None:
    """Ask again and again, until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition(*arguments):
            await asyncio.sleep(0.05)


async def in_the_end(change: Callable[..., Awaitable[_T]], *arguments: Any) -> _T:
    """Try until the database takes it, as a user does who is told to try again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await change(*arguments)
            except StoreUnavailable:
                await asyncio.sleep(0.05)
