"""Logouts that come from an OpenID provider: the receiver of Back-Channel Logout 1.0, for FastAPI and Starlette.

It needs the extra ``oidc``. Nothing else in the package imports it.
"""

from importlib.util import find_spec

if find_spec("httpx") is None:
    raise ImportError(
        "asgi_sessions.oidc needs httpx: install the extra, asgi-user-sessions[oidc].", name="asgi_sessions.oidc"
    )

from asgi_sessions.oidc.provider import OIDCProvider, oidc_index
from asgi_sessions.oidc.routes import oidc_logout_router, oidc_logout_routes

__all__ = ["OIDCProvider", "oidc_index", "oidc_logout_router", "oidc_logout_routes"]
