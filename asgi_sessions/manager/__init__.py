"""A session's life: issued, verified, refreshed, ended. Knows the protocol and the store, but no request."""

from asgi_sessions.manager.audit import SessionEvent
from asgi_sessions.manager.issued_session import IssuedSession
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.records import IssuedToken, SessionRecord
from asgi_sessions.manager.session import Session

__all__ = ["IssuedSession", "IssuedToken", "Session", "SessionEvent", "SessionManager", "SessionRecord"]
