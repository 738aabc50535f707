"""The receiver as routes of Starlette, and as a router of FastAPI."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import Route

from asgi_sessions.asgi.fastapi_router import as_fastapi_router
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.oidc.backchannel import BackchannelLogout
from asgi_sessions.oidc.provider import OIDCProvider

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["oidc_logout_router", "oidc_logout_routes"]

PATH = "/oidc/backchannel-logout"


def oidc_logout_routes(sessions: SessionManager, providers: Sequence[OIDCProvider]) -> list[Route]:
    """Make the receiver of back-channel logouts for Starlette: ``Mount("/auth", routes=oidc_logout_routes(…))``.

    Args:
        sessions: The manager of the sessions that providers may end.
        providers: Who may end sessions whose logins named them (`oidc_index`).

    Returns:
        ``POST /oidc/backchannel-logout``: the `backchannel_logout_uri` to register with each provider.

    Raises:
        TypeError, ValueError: A provider is none, there is none, or there are two of one issuer.
    """
    return [Route(PATH, BackchannelLogout(sessions, providers).endpoint, methods=["POST"])]


def oidc_logout_router(sessions: SessionManager, providers: Sequence[OIDCProvider]) -> "APIRouter":
    """Make the receiver for FastAPI: ``app.include_router(oidc_logout_router(sessions, [provider]), prefix="/auth")``.

    The arguments and errors are those of `oidc_logout_routes`. The route is not in the OpenAPI document.
    """
    return as_fastapi_router(oidc_logout_routes(sessions, providers))
