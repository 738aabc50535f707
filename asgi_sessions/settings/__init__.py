"""The settings, from ``ASGI_SESSIONS_*`` in the environment or from keyword arguments."""

from asgi_sessions.settings.defaults import POLICIES
from asgi_sessions.settings.model import SessionSettings
from asgi_sessions.settings.report import development_only, policy_summary, weakened_defaults

__all__ = ["POLICIES", "SessionSettings", "development_only", "policy_summary", "weakened_defaults"]
