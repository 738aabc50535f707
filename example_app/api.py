"""The same as JSON, for programs and for pages with scripts. The session's own endpoints are at /auth."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field

from example_app.accounts import Credentials, NewAccount, TheAccounts
from example_app.codes import GOOD_FOR, TheCodes, TooManyTries, TypedCode
from example_app.devices import address_of, log_out_device
from example_app.sessions import (
    Administrator,
    Member,
    MemberSession,
    Oneself,
    RecentlyConfirmed,
    begin_session,
    data_of,
    sessions,
)
from example_app.users import NameTaken

router = APIRouter(prefix="/api")

Responses = dict[int | str, dict[str, Any]]
Methods = Annotated[
    dict[str, datetime],
    Field(description="How the user was authenticated (`pwd`, `otp`), and when that was last."),
]


class Me(BaseModel):
    """Whoever is signed in, and the session."""

    user_id: int
    name: str
    admin: bool = Field(description="Whether this user may log out others.")
    actor: int | None = Field(description="Who acts as this user; null if it is the user.")
    session_handle: str = Field(description="Names the session. Public: it opens nothing.")
    authenticated_at: datetime = Field(description="When the user was last authenticated, by whichever method.")
    authentication_methods: Methods
    expires_at: datetime = Field(description="When the session ends at the latest.")


class SignedIn(Me):
    """The same, and what the new session has ended."""

    logged_out: list[str] = Field(
        description="Devices that were logged out, since the user cannot be signed in on more.",
        examples=[["Firefox on Windows"]],
    )


class Device(BaseModel):
    """One place where the user is signed in."""

    session_handle: str
    this_device: bool
    label: str = Field(examples=["Firefox on Windows"])
    ip_address: str | None
    created_at: datetime
    actor: int | None = Field(description="Who acts as the user there; null if it is the user.")
    authentication_methods: Methods
    last_active_at: datetime = Field(description="Accurate to about an access token's lifetime.")


class SentCode(BaseModel):
    """A one-time code. This example sends no mail, so the answer holds what the mail would."""

    code: str = Field(examples=["123456"])
    expires_in: int = Field(description="Seconds.", examples=[GOOD_FOR])


class LoggedOut(BaseModel):
    """How many sessions have ended."""

    sessions: int


class Refusal(BaseModel):
    """Why something was not done."""

    detail: str


NOT_SIGNED_IN: Responses = {401: {"model": Refusal, "description": "Nobody is signed in."}}
FORBIDDEN: Responses = {403: {"model": Refusal, "description": "Sent by another site's page."}}
NO_SUCH_DEVICE: Responses = {404: {"model": Refusal, "description": "Not one of the user's devices."}}
TOO_MANY_TRIES: Responses = {429: {"model": Refusal, "description": "Too many wrong codes: none is taken for minutes."}}
NOT_CONFIRMED: Responses = {403: {"model": Refusal, "description": "No one-time code in the last five minutes."}}
NOT_ADMIN: Responses = {403: {"model": Refusal, "description": "Not the administrator, or another site's page."}}


@router.post(
    "/sign-up",
    status_code=201,
    tags=["account"],
    summary="Sign up",
    responses={**FORBIDDEN, 409: {"model": Refusal, "description": "The name is taken."}},
)
async def sign_up(request: Request, account: NewAccount, accounts: TheAccounts) -> Me:
    """Make an account and sign in. The first user becomes the administrator."""
    try:
        user = await accounts.sign_up(account)
    except NameTaken:
        raise HTTPException(409, "This name is taken.") from None
    return _me(await begin_session(request, user, stay_signed_in=account.stay_signed_in))


@router.post(
    "/sign-in",
    tags=["account"],
    summary="Sign in",
    responses={**FORBIDDEN, 401: {"model": Refusal, "description": "The name or the password is wrong."}},
)
async def sign_in(request: Request, credentials: Credentials, accounts: TheAccounts) -> SignedIn:
    """Begin a session; its cookies come with the answer."""
    user = await accounts.sign_in(credentials)
    if user is None:
        raise HTTPException(401, "The name or the password is wrong.")
    session = await begin_session(request, user, stay_signed_in=credentials.stay_signed_in)
    ended = [record.device_label for record in session.evicted_sessions]
    return SignedIn(**_me(session).model_dump(), logged_out=ended)


@router.post(
    "/log-out", status_code=204, tags=["account"], summary="Log out here", responses={**NOT_SIGNED_IN, **FORBIDDEN}
)
async def log_out(session: Member) -> None:
    """End this session and clear its cookies."""
    await session.revoke_session()


@router.get("/me", tags=["account"], summary="Who am I", responses=NOT_SIGNED_IN)
async def me(session: Member) -> Me:
    """Whoever is signed in."""
    return _me(session)


@router.get("/devices", tags=["devices"], summary="Your devices", responses=NOT_SIGNED_IN)
async def devices(session: Member) -> list[Device]:
    """Where the user is signed in, newest first."""
    return [
        Device(
            session_handle=record.session_handle,
            this_device=record.session_handle == session.session_handle,
            label=record.device_label,
            ip_address=address_of(record, session),
            created_at=record.created_at,
            actor=None if record.actor is None else int(str(record.actor)),
            authentication_methods=dict(record.authentication_methods),
            last_active_at=record.last_active_at,
        )
        for record in await sessions.list_sessions_for_user(session.user_id)
    ]


@router.delete(
    "/devices/{session_handle}",
    status_code=204,
    tags=["devices"],
    summary="Log out one device",
    responses={**NOT_SIGNED_IN, **FORBIDDEN, **NO_SUCH_DEVICE},
)
async def log_out_one(session_handle: str, session: Member) -> None:
    """End one of the user's sessions. Another user's is as unknown as one that never was."""
    if not await log_out_device(session, session_handle):
        raise HTTPException(404, "No such device.")


@router.post(
    "/devices/log-out-others",
    tags=["devices"],
    summary="Log out everywhere else",
    responses={**NOT_SIGNED_IN, **FORBIDDEN},
)
async def log_out_others(session: Member) -> LoggedOut:
    """End all of the user's sessions but this one."""
    return LoggedOut(sessions=await session.revoke_other_sessions())


@router.post(
    "/confirm/code",
    tags=["step-up"],
    summary="Get a one-time code",
    responses={**NOT_SIGNED_IN, **FORBIDDEN, **TOO_MANY_TRIES},
)
async def send_code(session: Oneself, codes: TheCodes) -> SentCode:
    """Make a code, which is good in this session."""
    try:
        code = await codes.make(session.user_id, session.session_handle)
    except TooManyTries:
        raise HTTPException(429, "Too many wrong codes.") from None
    return SentCode(code=code, expires_in=GOOD_FOR)


@router.post(
    "/confirm",
    tags=["step-up"],
    summary="Confirm by a one-time code",
    responses={**NOT_SIGNED_IN, **FORBIDDEN, **TOO_MANY_TRIES},
)
async def confirm(typed: TypedCode, session: Oneself, codes: TheCodes) -> Me:
    """Raise this session: it goes on, with new access cookies."""
    try:
        right = await codes.use(session.user_id, session.session_handle, typed)
    except TooManyTries:
        raise HTTPException(429, "Too many wrong codes.") from None
    if not right:
        raise HTTPException(422, "The code is wrong, or too old.")
    await session.add_authentication_method("otp")
    return _me(session)


@router.get("/your-data", tags=["step-up"], summary="Your data", responses={**NOT_SIGNED_IN, **NOT_CONFIRMED})
async def your_data(session: RecentlyConfirmed) -> list[dict[str, Any]]:
    """All that is kept about the user's sessions, for whoever has confirmed by a code in the last five minutes."""
    return await data_of(session)


@router.post(
    "/admin/users/{user_id}/log-out",
    tags=["administration"],
    summary="Log a user out",
    responses={**NOT_SIGNED_IN, **NOT_ADMIN},
)
async def log_out_user(user_id: Annotated[int, Path(ge=0, lt=2**63)], session: Administrator) -> LoggedOut:
    """End all sessions of a user, on every device."""
    return LoggedOut(sessions=await sessions.revoke_all_sessions_for_user(user_id))


def _me(session: MemberSession) -> Me:
    return Me(
        user_id=session.user_id,
        name=session.jwt_payload["name"],
        admin=session.jwt_payload["admin"],
        actor=int(str(session.actor)) if session.actor is not None else None,
        session_handle=session.session_handle,
        authenticated_at=session.auth_time,
        authentication_methods=dict(session.authentication_methods),
        expires_at=session.expires_at,
    )
