"""The ID token of a login, kept for `id_token_hint` where the application asks for it: sealed, in the session's row.

A copy of the database without ``secret_key`` tells nothing of it, and a sealed token that is moved to another session
does not open. It is in the session's data, so that it is exported, erased and purged with them, under a key of our
own: a column would be a migration and a wider row for what most installations do not have.
"""

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from asgi_sessions.manager.key_seals import sealer_of
from asgi_sessions.manager.manager import SessionManager, require_manager
from asgi_sessions.manager.session import Session
from asgi_sessions.oidc.logout_url import require_id_token
from asgi_sessions.protocol.sealing import SealBroken, Sealer

__all__ = ["KEY", "keep_id_token", "kept_id_token"]

KEY: Final = "asgi_sessions.id_token"
LONGEST: Final = 7000
"""Characters. A longer one, with hundreds of groups, fits into no address that servers read: most take 8 KiB."""
_PURPOSE: Final = "oidc-id-token"

_log = logging.getLogger("asgi_sessions")


async def keep_id_token(sessions: SessionManager, session: Session[Any, Any], id_token: str) -> bool:
    """Keep the ID token of a login with its session, sealed, for `kept_id_token` at the logout. One statement more.

    It is in the session's data (`Session.get_session_info`) under the key ``asgi_sessions.id_token``:
    `change_session_info` keeps it, `update_session_info` replaces it with all the rest.

    Args:
        sessions: The manager, with ``secret_key``.
        session: What `create_new_session` has returned.
        id_token: As the provider has sent it, after it was verified.

    Returns:
        Whether it is kept. One of more than 7000 characters is not, since it would fit into no address; the log says
        so, and the user signs out without it.

    Raises:
        TypeError, ValueError: It is no signed JWT, the manager has no ``secret_key``, or the session's data are
            something else than an object. Nothing has changed.
        Unauthorised: The session is gone.
        StoreUnavailable: It may be kept all the same, or not.
    """
    sealer = _sealer(sessions, session)
    if sealer is None:
        raise ValueError("secret_key: an ID token is kept sealed, for which there must be a secret_key.")
    require_id_token(id_token, "id_token")
    if len(id_token) > LONGEST:
        _log.warning("An ID token of %d characters is not kept: it fits into no address.", len(id_token))
        return False
    sealed, seal_id = sealer.seal(id_token.encode(), session.session_handle, "", _PURPOSE)
    text = f"{seal_id}.{urlsafe_b64encode(sealed).decode()}"

    def with_token(info: Any) -> dict[str, Any]:
        if not isinstance(info, dict | None):
            raise ValueError("session_info must be an object, or None, for an ID token to be kept in it")
        return {**(info or {}), KEY: text}

    await session.change_session_info(with_token)
    return True


async def kept_id_token(sessions: SessionManager, session: Session[Any, Any]) -> str | None:
    """The ID token that was kept with a session, for `oidc_logout_url`. Ask before the session ends.

    Args:
        sessions: The manager.
        session: The session that is to end.

    Returns:
        None where none was kept, or where it does not open: ``secret_key`` has changed since, and the old one stands
        behind the new one no longer. A logout goes on without it.

    Raises:
        TypeError: There is no such manager or session.
        Unauthorised: The session is gone.
        StoreUnavailable: The database did not answer.
    """
    sealer = _sealer(sessions, session)
    info = await session.get_session_info()
    text = info.get(KEY) if isinstance(info, dict) else None
    if not isinstance(text, str):
        return None
    seal_id, _, sealed = text.partition(".")
    try:
        if sealer is None:
            raise SealBroken
        return sealer.open(urlsafe_b64decode(sealed), seal_id, session.session_handle, "", _PURPOSE).decode()
    except (SealBroken, ValueError):  # a ValueError where somebody has written something else there
        _log.warning("The ID token of session %s does not open: secret_key has changed.", session.session_handle)
        return None


def _sealer(sessions: SessionManager, session: Session[Any, Any]) -> Sealer | None:
    require_manager(sessions, "sessions")
    if not isinstance(session, Session):
        raise TypeError(f"session must be a Session, not {type(session).__name__}")
    return sealer_of(sessions.settings)
