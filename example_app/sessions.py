"""The application's session manager, and the sessions that routes ask for by type."""

from datetime import timedelta
from typing import Annotated, TypedDict

from fastapi import Depends, Request

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


async def begin_session(request: Request, user: User, *, stay_signed_in: bool) -> MemberSession:
    return await sessions.create_new_session(
        request, user.id, jwt_payload=payload_of(user), session_info={}, persistent=stay_signed_in
    )


Member = Annotated[MemberSession, Depends(get_session)]
Visitor = Annotated[MemberSession | None, Depends(get_optional_session)]
Administrator = Annotated[MemberSession, Depends(require_session(claims={"admin": True}))]
RecentAdministrator = Annotated[
    MemberSession, Depends(require_session(claims={"admin": True}, max_auth_age=timedelta(hours=1)))
]
