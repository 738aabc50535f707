"""The session endpoints for Starlette: ``routes=[Mount("/auth", routes=session_routes())]``."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions.asgi import session_operations as operations
from asgi_sessions.asgi.browser_helper import browser_helper
from asgi_sessions.asgi.dependency import get_session, require_session
from asgi_sessions.asgi.refresh_route import mark_refresh_endpoint
from asgi_sessions.asgi.response_headers import not_stored
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.user_id import plain

Endpoint = Callable[[Request], Awaitable[Response]]


class AsciiJSONResponse(JSONResponse):
    """JSON with escapes: a payload may hold half a surrogate pair, which UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class NotStored(BaseRoute):
    """A route whose answers no cache keeps, whatever the settings say; but for those that say something themselves."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, errors included."""

        def unstored(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = not_stored(message.get("headers", ()))
            return send(message)

        await super().handle(scope, receive, unstored)


class _SessionRoute(NotStored, Route):
    pass


def session_routes(*, max_auth_age: timedelta | float | None = None) -> list[Route]:
    """Make the routes for refresh, sign-out, the current session and the list of devices; mount them at ``/auth``.

    Args:
        max_auth_age: How long ago the login may be to end other sessions, `timedelta` or seconds.

    Returns:
        ``POST /session/refresh``, ``POST /signout``, ``GET /session``, ``GET /sessions``,
        ``DELETE /sessions/{session_handle}``, ``POST /sessions/revoke-others``, ``GET /jwks.json``,
        ``GET /session.js``.
    """
    recently = require_session(max_auth_age=max_auth_age)

    async def revoke_one(request: Request) -> Response:
        await operations.revoke_mine(await recently(request), request, request.path_params["session_handle"])
        return Response(status_code=204)

    async def revoke_others(request: Request) -> Response:
        return JSONResponse({"revoked": await (await recently(request)).revoke_other_sessions()})

    return [
        _SessionRoute("/session/refresh", _refresh, methods=["POST"]),
        _SessionRoute("/signout", _sign_out, methods=["POST"]),
        _SessionRoute("/session", _who_am_i, methods=["GET"]),
        _SessionRoute("/sessions", _my_devices, methods=["GET"]),
        _SessionRoute("/sessions/revoke-others", revoke_others, methods=["POST"]),
        _SessionRoute("/sessions/{session_handle}", revoke_one, methods=["DELETE"]),
        _SessionRoute("/jwks.json", _jwks, methods=["GET"]),
        _SessionRoute("/session.js", _browser_helper, methods=["GET"]),
    ]


async def _refresh(request: Request) -> Response:
    session = await operations.refresh(request)
    return AsciiJSONResponse(describe_session(session))


mark_refresh_endpoint(_refresh)


async def _sign_out(request: Request) -> Response:
    await operations.sign_out(request)
    return JSONResponse({"status": "OK"})


_without_extending = require_session(extend=False)


async def _who_am_i(request: Request) -> Response:
    session = await _without_extending(request)
    return AsciiJSONResponse(describe_session(session) | await operations.remaining(session, request))


async def _my_devices(request: Request) -> Response:
    session = await get_session(request)
    limit = request.query_params.get("limit", str(operations.PAGE))
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= operations.PAGE:
        raise HTTPException(400, f"limit: must be a whole number from 1 to {operations.PAGE}.")
    cursor = request.query_params.get("cursor")
    try:
        records, headers = await operations.my_sessions(session, request, limit=int(limit), cursor=cursor)
    except ValueError:
        raise HTTPException(400, "cursor: is none of a list of sessions.") from None
    return JSONResponse([describe_record(record, session) for record in records], headers=headers)


async def _jwks(request: Request) -> Response:
    return JSONResponse(operations.jwks(request), headers={"Cache-Control": "public, max-age=60"})


async def _browser_helper(request: Request) -> Response:
    return browser_helper(request)


def describe_session(session: Session[Any, Any]) -> dict[str, Any]:
    """A session as its user may see it."""
    return {
        "session_handle": session.session_handle,
        "form_tag": session.form_tag,
        "user_id": plain(session.user_id),
        "jwt_payload": session.jwt_payload,
        "persistent": session.persistent,
        "auth_time": session.auth_time.isoformat(),
        "expires_at": session.expires_at.isoformat(),
        "authentication_methods": _shown(session.authentication_methods),
        "actor": None if session.actor is None else plain(session.actor),
    }


def describe_record(record: SessionRecord[Any], current: Session[Any, Any]) -> dict[str, Any]:
    """A line of "your devices" as its user may see it."""
    return {
        "session_handle": record.session_handle,
        "this_device": record.session_handle == current.session_handle,
        "device_label": record.device_label,
        "ip_address": record.ip_address,
        "created_at": record.created_at.isoformat(),
        "last_active_at": record.last_active_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "authentication_methods": _shown(record.authentication_methods),
        "actor": None if record.actor is None else plain(record.actor),
    }


def _shown(methods: Mapping[str, datetime]) -> dict[str, str]:
    return {name: time.isoformat() for name, time in methods.items()}
