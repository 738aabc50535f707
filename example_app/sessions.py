"""The application's session manager, and the sessions that routes ask for by type."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, TypedDict

from fastapi import Depends, Request
from fastapi.requests import HTTPConnection

from asgi_sessions import Session, SessionManager, SessionSettings, get_optional_session, get_session, require_session
from example_app.users import User

sessions = SessionManager(SessionSettings())  # ASGI_SESSIONS_* from the environment; an SQLite file by default


class Payload(TypedDict):
    """What travels in the access token, so that no page has to look the user up."""

    name: str
    admin: bool


def payload_of(user: User) -> Payload:
    return {"name": user.name, "admin": user.is_admin}


MemberSession = Session[int, Payload]


async def begin_session(
    request: Request,
    user: User,
    *,
    stay_signed_in: bool,
    methods: Collection[str] = ("pwd",),
    info: Mapping[str, Any] = MappingProxyType({}),
    index: Mapping[str, str] | None = None,
) -> MemberSession:
    return await sessions.create_new_session(
        request,
        user.id,
        jwt_payload=payload_of(user),
        session_info=dict(info),
        persistent=stay_signed_in,
        authentication_methods=methods,
        index=index,
    )


def had_session(connection: HTTPConnection) -> bool:
    """Whether the browser has the cookie of a session, good or ended: whoever has none was not signed in."""
    return any(name.endswith("sAccessToken") for name in connection.cookies)


async def data_of(session: MemberSession) -> list[dict[str, Any]]:
    """All that the library keeps about the session's user."""
    return [each async for each in sessions.export_user(session.user_id)]


Member = Annotated[MemberSession, Depends(get_session)]
MemberAtForm = Annotated[MemberSession, Depends(require_session(form_tag=True))]
"""For the forms of pages: each acts for the session that it was shown to, and for no other."""
Visitor = Annotated[MemberSession | None, Depends(get_optional_session)]
Administrator = Annotated[MemberSession, Depends(require_session(claims={"admin": True}))]
AdministratorAtForm = Annotated[MemberSession, Depends(require_session(claims={"admin": True}, form_tag=True))]
RecentAdministratorAtForm = Annotated[
    MemberSession, Depends(require_session(claims={"admin": True}, max_auth_age=timedelta(hours=1), form_tag=True))
]

Oneself = Annotated[MemberSession, Depends(require_session(allow_actor=False))]
"""The user alone, and nobody who acts as the user."""
OneselfAtForm = Annotated[MemberSession, Depends(require_session(allow_actor=False, form_tag=True))]
RecentlyConfirmed = Annotated[MemberSession, Depends(require_session(methods={"otp"}, within=timedelta(minutes=5)))]
"""With a one-time code: a stolen cookie, or an unlocked computer, is not enough."""
