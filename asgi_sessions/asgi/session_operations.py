"""What the session endpoints do, for Starlette's routes and FastAPI's router alike."""

from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from asgi_sessions.manager.connection import innermost
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.session import Session, require_alone
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.protocol.user_id import UserId

PAGE = 100
"""The most sessions on one page of "my devices"."""


async def refresh(request: Request) -> Session[Any, Any]:
    """Rotate the tokens of this jar."""
    exchange = innermost(request.scope)
    exchange.serve(request.scope)
    return await exchange.refresh()


async def remaining(session: Session[Any, Any], request: Request) -> dict[str, Any]:
    """How long the session lasts unless it is used before: members of the description of a session."""
    idle_expires_at = await session.get_idle_expires_at()
    left = datetime_to_ms(idle_expires_at) - innermost(request.scope).manager.time()
    return {"idle_expires_at": idle_expires_at.isoformat(), "expires_in": max(0, left // 1000)}


async def sign_out(request: Request) -> bool:
    """Log out here. Says whether a session has ended; that there was none is no error: the user wanted to be out."""
    exchange = innermost(request.scope)
    exchange.serve(request.scope)
    return await exchange.sign_out()


async def my_sessions(
    session: Session[Any, Any], request: Request, *, limit: int = PAGE, cursor: str | None = None
) -> tuple[list[SessionRecord[Any]], dict[str, str]]:
    """A page of the devices on which this user is logged in, and the response headers that link to the next one.

    The address of whoever acts as the user is shown to that one alone.

    Args:
        session: The caller's session.
        request: What asks.
        limit: How many at most, 1 to `PAGE`.
        cursor: From the link on the page before.

    Raises:
        ValueError: It is none.
    """
    manager = innermost(request.scope).manager
    records = await manager.list_sessions_for_user(session.user_id, limit=limit + 1, after=cursor)
    page = [_shown_to(session.actor, record) for record in records[:limit]]
    if len(records) == len(page):
        return page, {}
    # Relative to whatever address the client has used (RFC 8288, RFC 3986 section 4.2).
    return page, {"Link": f'<?limit={limit}&cursor={page[-1].cursor}>; rel="next"'}


def _shown_to(actor: UserId | None, record: SessionRecord[Any]) -> SessionRecord[Any]:
    return record if record.actor in {None, actor} else replace(record, ip_address=None)


async def revoke_mine(session: Session[Any, Any], request: Request, session_handle: str) -> None:
    """Log out one of this user's devices; this one as `Session.revoke_session` does.

    Raises:
        HTTPException: 404 for a session that is not this user's, or has ended.
        Unauthorised: The caller's session has ended.
        ImpersonationRefused: Somebody acts as the user, whose other sessions are not to be touched.
    """
    if session_handle == session.session_handle:
        await session.revoke_session()
        return
    await require_alone(session)
    manager = innermost(request.scope).manager
    if not await manager.revoke_session_using_session_handle(session_handle, user_id=session.user_id):
        raise HTTPException(404, "No such session.")


def jwks(request: Request) -> dict[str, Any]:
    """The public keys that verify access tokens elsewhere (RFC 7517).

    Raises:
        HTTPException: 404 where the tokens are signed symmetrically: there is nothing to publish.
    """
    manager = innermost(request.scope).manager
    if manager.settings.signing_algorithm == "HS256":
        raise HTTPException(404, "The access tokens are signed with a secret key.")
    return manager.lifecycle.keys.keyring.public_jwks()
