"""Logging out one of one's own devices."""

from asgi_sessions import ImpersonationRefused, SessionRecord
from example_app.sessions import MemberSession, sessions


def address_of(device: SessionRecord[int], session: MemberSession) -> str | None:
    """Where a device has signed in from. Of an administrator who acts as the user nobody else learns that."""
    return device.ip_address if device.actor in {None, session.actor} else None


async def log_out_device(session: MemberSession, session_handle: str) -> bool:
    """End one of this user's sessions; this one with its cookies.

    Returns:
        False for what is not the user's, or has ended already: the answer is the same, so handles cannot be probed.

    Raises:
        ImpersonationRefused: The administrator acts as the user, whose other devices are not to be touched.
    """
    if session_handle == session.session_handle:
        await session.revoke_session()
        return True
    if session.actor is not None:
        raise ImpersonationRefused
    return await sessions.revoke_session_using_session_handle(session_handle, user_id=session.user_id)
