"""Login sessions for ASGI applications: short-lived JWT access cookies, rotating refresh tokens, logout that works."""

from asgi_sessions.asgi.client_protocol import cors_headers
from asgi_sessions.asgi.dependency import (
    SessionDependency,
    get_optional_session,
    get_session,
    require_session,
)
from asgi_sessions.asgi.error_responses import ErrorAnswer, error_answer, session_exception_handler
from asgi_sessions.asgi.middleware import SessionMiddleware
from asgi_sessions.asgi.notices import Notice, NoticeCookie
from asgi_sessions.asgi.routes import session_routes
from asgi_sessions.errors import (
    AlreadyRotated,
    ConfigurationError,
    CsrfRejected,
    FetchedAhead,
    FormForAnotherSession,
    GeneralError,
    ImpersonationRefused,
    InvalidClaim,
    PayloadChanged,
    PayloadTooLarge,
    ReauthenticationRequired,
    SessionError,
    SessionLimitReached,
    StoreUnavailable,
    TokenTheftDetected,
    TooManyCookies,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.last_resort import install as _install_last_resort
from asgi_sessions.manager import IssuedSession, IssuedToken, Session, SessionEvent, SessionManager, SessionRecord
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.schema import sessions_metadata

__all__ = [
    "AlreadyRotated",
    "ConfigurationError",
    "CsrfRejected",
    "ErrorAnswer",
    "FormForAnotherSession",
    "FetchedAhead",
    "GeneralError",
    "ImpersonationRefused",
    "InvalidClaim",
    "IssuedSession",
    "IssuedToken",
    "Notice",
    "NoticeCookie",
    "PayloadChanged",
    "PayloadTooLarge",
    "ReauthenticationRequired",
    "Session",
    "SessionDependency",
    "SessionError",
    "SessionEvent",
    "SessionLimitReached",
    "SessionManager",
    "SessionMiddleware",
    "SessionRecord",
    "SessionSettings",
    "StoreUnavailable",
    "TokenTheftDetected",
    "TooManyCookies",
    "TryRefreshToken",
    "Unauthorised",
    "cors_headers",
    "error_answer",
    "get_optional_session",
    "get_session",
    "require_session",
    "session_exception_handler",
    "session_routes",
    "sessions_metadata",
]

__version__ = "0.1.0"

_install_last_resort()
