"""Logouts that come from elsewhere, and those that go there, for FastAPI and Starlette.

Receivers of Back-Channel Logout 1.0, of Shared Signals 1.0 (CAEP, RISC) and of Global Token Revocation; and what tells
others of our own logouts. They need the extra ``oidc``. Nothing else in the package imports them.
"""

from importlib.util import find_spec

if find_spec("httpx") is None:
    raise ImportError(
        "asgi_sessions.oidc needs httpx: install the extra, asgi-user-sessions[oidc].", name="asgi_sessions.oidc"
    )

from asgi_sessions.oidc.kept_id_token import keep_id_token, kept_id_token
from asgi_sessions.oidc.logout_receiver import LogoutReceiver
from asgi_sessions.oidc.logout_url import oidc_logout_url
from asgi_sessions.oidc.notifier import LogoutNotifier, NotifierBacklog
from asgi_sessions.oidc.provider import OIDCProvider, oidc_index
from asgi_sessions.oidc.routes import (
    oidc_logout_router,
    oidc_logout_routes,
    ssf_receiver_router,
    ssf_receiver_routes,
    token_revocation_router,
    token_revocation_routes,
)
from asgi_sessions.oidc.security_event import ENDING_EVENTS
from asgi_sessions.oidc.token_revocation import TokenRevoker
from asgi_sessions.oidc.transmitter import SSFTransmitter

__all__ = [
    "ENDING_EVENTS",
    "LogoutNotifier",
    "LogoutReceiver",
    "NotifierBacklog",
    "OIDCProvider",
    "SSFTransmitter",
    "TokenRevoker",
    "keep_id_token",
    "kept_id_token",
    "oidc_index",
    "oidc_logout_router",
    "oidc_logout_routes",
    "oidc_logout_url",
    "ssf_receiver_router",
    "ssf_receiver_routes",
    "token_revocation_router",
    "token_revocation_routes",
]
