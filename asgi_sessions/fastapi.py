"""Sessions in FastAPI: ``CurrentSession`` for routes, ``session_router()`` for the endpoints, the lock in the docs.

No ``from __future__ import annotations`` here: FastAPI reads these annotations and must find classes, not texts.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie
from pydantic import BaseModel, Field

from asgi_sessions.asgi import session_operations as operations
from asgi_sessions.asgi.browser_helper import browser_helper
from asgi_sessions.asgi.dependency import (
    SessionDependency,
    get_optional_session,
    get_session,
    require_session,
)
from asgi_sessions.asgi.refresh_route import mark_refresh_endpoint
from asgi_sessions.asgi.routes import AsciiJSONResponse, NotStored, describe_record, describe_session
from asgi_sessions.manager.records import CURSOR
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.cookies import ACCESS_COOKIE

__all__ = [
    "CurrentSession",
    "OptionalSession",
    "get_optional_session",
    "get_session",
    "require_session",
    "session_router",
]

# FastAPI unwraps a dependency to see whether it is a security scheme. So all of ours are, at no cost per request:
# a real sub-dependency would be called each time.
SessionDependency.__wrapped__ = APIKeyCookie(  # type: ignore[attr-defined]  # found by inspect.unwrap
    name=ACCESS_COOKIE,
    scheme_name="SessionCookie",
    description="Set at login. The cookie's name may have the prefix `__Host-` or `__Secure-`.",
    auto_error=False,
)

CurrentSession = Annotated[Session[Any, Any], Depends(get_session)]
"""The caller's session; raises an error if nobody is logged in."""

OptionalSession = Annotated[Session[Any, Any] | None, Depends(get_optional_session)]
"""The caller's session, or None if nobody is logged in."""


_METHODS = "How the user was authenticated (RFC 8176), and when that was last."
_ACTOR = "Who acts as the user; null if it is the user."


class SessionView(BaseModel):
    """A session as its user may see it."""

    session_handle: str = Field(description="Names the session. Public: it opens nothing.")
    form_tag: str = Field(description="What forms send back, or scripts as `Form-Tag`, to act for this session alone.")
    user_id: str | int
    jwt_payload: Any = None
    persistent: bool = Field(description="Whether the session outlives the browser.")
    auth_time: datetime = Field(description="When the user last gave a credential.")
    expires_at: datetime = Field(description="When the session ends at the latest.")
    authentication_methods: dict[str, datetime] = Field(description=_METHODS)
    actor: str | int | None = Field(description=_ACTOR)


class CurrentSessionView(SessionView):
    """The session of the caller, and how long it lasts."""

    idle_expires_at: datetime = Field(description="When it ends unless it is used before.")
    expires_in: int = Field(description="In how many seconds that is. To ask for it is no use of the session.")


class DeviceView(BaseModel):
    """One session in the list of a user's devices."""

    session_handle: str = Field(description="Names the session. Public: it opens nothing.")
    this_device: bool = Field(description="Whether it is the session that asks.")
    device_label: str = Field(description="Made from the User-Agent at login.")
    ip_address: str | None = Field(
        description="The address at login, or its network. Null also where somebody else acts as the user."
    )
    created_at: datetime
    last_active_at: datetime
    expires_at: datetime = Field(description="When it ends unless it is used before.")
    authentication_methods: dict[str, datetime] = Field(description=_METHODS)
    actor: str | int | None = Field(description=_ACTOR)


class SignedOut(BaseModel):
    """The answer to signing out."""

    status: str = "OK"


class Revoked(BaseModel):
    """How many sessions have ended."""

    revoked: int


class Problem(BaseModel):
    """An error."""

    detail: str
    code: str = Field(description="Stable and machine-readable.")


_LOGIN_NEEDED: dict[int | str, dict[str, Any]] = {401: {"model": Problem, "description": "Not logged in."}}
_FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"model": Problem, "description": "Another site, or log in anew."}}


class _SessionRoute(NotStored, APIRoute):
    pass


def _shown(session: Session[Any, Any], remaining: dict[str, Any] | None = None) -> Response:
    # The payload is not for pydantic, which writes UTF-8: it may hold half a surrogate pair.
    described = describe_session(session) | (remaining or {})
    view_of = SessionView if remaining is None else CurrentSessionView
    view = view_of.model_validate(described | {"jwt_payload": None}).model_dump(mode="json")
    return AsciiJSONResponse(view | {"jwt_payload": described["jwt_payload"]})


def session_router(*, max_auth_age: timedelta | float | None = None) -> APIRouter:
    """Refresh, sign-out, who am I, my devices: ``app.include_router(session_router(), prefix="/auth")``.

    Args:
        max_auth_age: How long ago the login may be for ending other sessions, `timedelta` or seconds.

    Returns:
        A router with ``POST /session/refresh``, ``POST /signout``, ``GET /session``, ``GET /sessions``,
        ``DELETE /sessions/{session_handle}``, ``POST /sessions/revoke-others``, ``GET /jwks.json``,
        ``GET /session.js``.
    """
    router = APIRouter(tags=["session"], route_class=_SessionRoute)
    asking_session = Annotated[Session[Any, Any], Depends(require_session(extend=False))]
    recent_session = Annotated[Session[Any, Any], Depends(require_session(max_auth_age=max_auth_age))]

    @router.post(
        "/session/refresh",
        summary="Refresh the session",
        responses={
            **_LOGIN_NEEDED,
            **_FORBIDDEN,
            409: {"model": Problem, "description": "Another request was faster. Try again."},
        },
        response_model=SessionView,
    )
    async def refresh_session(request: Request) -> Response:
        """Rotate the refresh token; the new tokens leave as cookies (or headers)."""
        return _shown(await operations.refresh(request))

    mark_refresh_endpoint(refresh_session)

    @router.post("/signout", summary="Log out here", responses={**_FORBIDDEN})
    async def sign_out(request: Request) -> SignedOut:
        """End this session and clear its cookies. Without a session the answer is the same."""
        await operations.sign_out(request)
        return SignedOut()

    @router.get("/session", summary="Who am I", responses={**_LOGIN_NEEDED}, response_model=CurrentSessionView)
    async def who_am_i(session: asking_session, request: Request) -> Response:
        """The session of the caller, and how long it lasts unless it is used. To ask does not extend it."""
        return _shown(session, await operations.remaining(session, request))

    @router.get("/sessions", summary="My devices", responses={**_LOGIN_NEEDED})
    async def my_devices(
        session: CurrentSession,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=operations.PAGE, description="How many at most.")] = operations.PAGE,
        cursor: Annotated[str | None, Query(pattern=CURSOR, description="From the link to the next page.")] = None,
    ) -> list[DeviceView]:
        """The caller's sessions, newest first. If there are more, the header `Link` points to the next page."""
        records, headers = await operations.my_sessions(session, request, limit=limit, cursor=cursor)
        response.headers.update(headers)
        return [DeviceView.model_validate(describe_record(record, session)) for record in records]

    @router.post(
        "/sessions/revoke-others",
        summary="Log out everywhere else",
        responses={**_LOGIN_NEEDED, **_FORBIDDEN},
    )
    async def revoke_others(session: recent_session) -> Revoked:
        """End all sessions of the caller but this one."""
        return Revoked(revoked=await session.revoke_other_sessions())

    @router.delete(
        "/sessions/{session_handle}",
        status_code=204,
        summary="Log out one device",
        responses={
            **_LOGIN_NEEDED,
            **_FORBIDDEN,
            404: {"description": "Not one of the caller's sessions."},
        },
    )
    async def revoke_one(session_handle: str, session: recent_session, request: Request) -> Response:
        """End one session of the caller."""
        await operations.revoke_mine(session, request, session_handle)
        return Response(status_code=204)

    @router.get("/jwks.json", summary="Public keys", responses={404: {"description": "HS256: nothing to publish."}})
    async def jwks(request: Request, response: Response) -> dict[str, Any]:
        """The public keys with which other services verify access tokens."""
        response.headers["Cache-Control"] = "public, max-age=60"
        return operations.jwks(request)

    @router.api_route("/session.js", methods=["GET", "HEAD"], include_in_schema=False)
    async def script(request: Request) -> Response:
        return browser_helper(request)

    return router
