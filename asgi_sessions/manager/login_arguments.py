"""The arguments of a login, checked: see `SessionManager.create_new_session`."""

from typing import Any

from asgi_sessions.manager import arguments
from asgi_sessions.manager.records import Login
from asgi_sessions.protocol.session_index import entries
from asgi_sessions.protocol.user_id import UserId

__all__ = ["login_of"]


def login_of(
    user_id: UserId,
    jwt_payload: Any,
    session_info: Any,
    *,
    persistent: Any,
    idle_timeout: Any,
    absolute_timeout: Any,
    authentication_methods: Any,
    index: Any,
) -> Login:
    """What the application says of a session that it begins.

    Raises:
        TypeError, ValueError: An argument is none of its kind.
    """
    return Login(
        user_id=user_id,
        jwt_payload=jwt_payload,
        session_info=session_info,
        persistent=arguments.flag(persistent, "persistent"),
        idle_timeout=arguments.timeout_or_none(idle_timeout, "idle_timeout"),
        absolute_timeout=arguments.timeout_or_none(absolute_timeout, "absolute_timeout"),
        methods=arguments.methods(authentication_methods, "authentication_methods"),
        index=entries(index),
    )
