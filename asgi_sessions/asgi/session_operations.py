"""What the session endpoints do, for Starlette's routes and FastAPI's router alike."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from asgi_sessions.manager.connection import innermost
from asgi_sessions.manager.session import Session, SessionRecord


async def refresh(request: Request) -> Session[Any, Any]:
    """Rotate the tokens of this jar."""
    exchange = innermost(request.scope)
    exchange.serve(request.scope)
    return await exchange.refresh()


async def sign_out(request: Request) -> bool:
    """Log out here. Says whether a session has ended; that there was none is no error: the user wanted to be out."""
    exchange = innermost(request.scope)
    exchange.serve(request.scope)
    return await exchange.sign_out()


async def my_sessions(session: Session[Any, Any], request: Request) -> list[SessionRecord[Any]]:
    """The devices on which this user is logged in."""
    return await innermost(request.scope).manager.list_sessions_for_user(session.user_id)


async def revoke_mine(session: Session[Any, Any], request: Request, session_handle: str) -> None:
    """Log out one of this user's devices; this one as `Session.revoke_session` does.

    Raises:
        HTTPException: 404 for a session that is not this user's, or has ended.
    """
    if session_handle == session.session_handle:
        await session.revoke_session()
        return
    manager = innermost(request.scope).manager
    if session_handle not in await manager.get_all_session_handles_for_user(session.user_id):
        raise HTTPException(404, "No such session.")
    if not await manager.revoke_session_using_session_handle(session_handle):
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
