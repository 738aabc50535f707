"""The settings, from ``ASGI_SESSIONS_*`` in the environment or from keyword arguments."""

from asgi_sessions.settings.model import POLICIES, SessionSettings
from asgi_sessions.settings.report import policy_summary, weakened_defaults

__all__ = ["POLICIES", "SessionSettings", "policy_summary", "weakened_defaults"]
