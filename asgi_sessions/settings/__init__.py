"""The settings, from ``ASGI_SESSIONS_*`` in the environment or from keyword arguments."""

from asgi_sessions.settings.defaults import POLICIES
from asgi_sessions.settings.manager_log import ManagerLog, manager_log
from asgi_sessions.settings.model import SessionSettings
from asgi_sessions.settings.report import development_only, policy_summary, weakened_defaults

__all__ = [
    "POLICIES",
    "ManagerLog",
    "SessionSettings",
    "development_only",
    "manager_log",
    "policy_summary",
    "weakened_defaults",
]
