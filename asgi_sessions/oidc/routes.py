"""The receivers as routes of Starlette, and as routers of FastAPI."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import Route

from asgi_sessions.asgi.fastapi_router import as_fastapi_router
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.oidc.backchannel import BackchannelLogout
from asgi_sessions.oidc.provider import OIDCProvider
from asgi_sessions.oidc.shared_signals import SharedSignals, StreamVerified
from asgi_sessions.oidc.token_revocation import TokenRevocation, TokenRevoker
from asgi_sessions.oidc.transmitter import SSFTransmitter

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = [
    "oidc_logout_router",
    "oidc_logout_routes",
    "ssf_receiver_router",
    "ssf_receiver_routes",
    "token_revocation_router",
    "token_revocation_routes",
]

LOGOUT = "/oidc/backchannel-logout"
EVENTS = "/ssf/events"
REVOCATION = "/global-token-revocation"


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
    return [Route(LOGOUT, BackchannelLogout(sessions, providers).endpoint, methods=["POST"])]


def oidc_logout_router(sessions: SessionManager, providers: Sequence[OIDCProvider]) -> "APIRouter":
    """Make the receiver for FastAPI: ``app.include_router(oidc_logout_router(sessions, [provider]), prefix="/auth")``.

    The arguments and errors are those of `oidc_logout_routes`. The route is not in the OpenAPI document.
    """
    return as_fastapi_router(oidc_logout_routes(sessions, providers))


def ssf_receiver_routes(
    sessions: SessionManager,
    transmitters: Sequence[SSFTransmitter],
    *,
    on_stream_verified: StreamVerified | None = None,
) -> list[Route]:
    """Make the receiver of shared signals for Starlette: ``Mount("/auth", routes=ssf_receiver_routes(…))``.

    Args:
        sessions: The manager of the sessions that transmitters may end.
        transmitters: Who may end them.
        on_stream_verified: Your async function, told of each verification event: the transmitter's issuer, and the
            `state` that you asked for, or None. What it raises is logged.

    Returns:
        ``POST /ssf/events``: the `endpoint_url` of the streams, with the delivery method ``urn:ietf:rfc:8935``.

    Raises:
        TypeError, ValueError: A transmitter is none, there is none, or there are two of one issuer.
    """
    return [Route(EVENTS, SharedSignals(sessions, transmitters, on_stream_verified).endpoint, methods=["POST"])]


def ssf_receiver_router(
    sessions: SessionManager,
    transmitters: Sequence[SSFTransmitter],
    *,
    on_stream_verified: StreamVerified | None = None,
) -> "APIRouter":
    """Make the receiver for FastAPI: ``app.include_router(ssf_receiver_router(sessions, [transmitter]))``.

    The arguments and errors are those of `ssf_receiver_routes`. The route is not in the OpenAPI document.
    """
    return as_fastapi_router(ssf_receiver_routes(sessions, transmitters, on_stream_verified=on_stream_verified))


def token_revocation_routes(sessions: SessionManager, revokers: Sequence[TokenRevoker]) -> list[Route]:
    """Make the receiver of global token revocations for Starlette.

    Args:
        sessions: The manager of the sessions that revokers may end.
        revokers: Who may end them.

    Returns:
        ``POST /global-token-revocation``: the endpoint to register with each of them.

    Raises:
        TypeError, ValueError: A revoker is none, there is none, or there are two of one issuer.
    """
    return [Route(REVOCATION, TokenRevocation(sessions, revokers).endpoint, methods=["POST"])]


def token_revocation_router(sessions: SessionManager, revokers: Sequence[TokenRevoker]) -> "APIRouter":
    """Make the receiver for FastAPI: ``app.include_router(token_revocation_router(sessions, [revoker]))``.

    The arguments and errors are those of `token_revocation_routes`. The route is not in the OpenAPI document.
    """
    return as_fastapi_router(token_revocation_routes(sessions, revokers))
