"""The pages as a whole application: somebody signs in, and has devices already that were used at different times."""

import time
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, SessionMiddleware, require_session
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.pages import SecurityNotice, administrators_routes, device_label, pages_routes
from asgi_sessions.protocol.durations import from_ms
from tests.pages.site import EXAMPLE_TRANSLATIONS

PLACES = {
    "203.0.113.9": "Berlin, Germany",
    "198.51.100.23": "Lisbon, Portugal",
    "192.0.2.77": "Hamburg, Germany",
    "2001:db8:7::2": "Oslo, Norway",
}
DEVICES = (
    (timedelta(days=160), timedelta(days=2), "Safari 18 on iPhone, iOS 18.5", "203.0.113.9", "Ada's phone"),
    (timedelta(days=41), timedelta(hours=3), "Safari 26 on macOS", "203.0.113.9", None),
    (timedelta(days=12), timedelta(days=9), "Chrome 142 on Samsung SM-X906B tablet, Android 14", "198.51.100.23", None),
    (timedelta(days=10), timedelta(days=10), "Edge 141 on Windows 11", "192.0.2.77", None),
    (timedelta(days=6), timedelta(days=6), "Chrome 141 on Linux", "2001:db8:7::2", None),
    (timedelta(days=5), timedelta(days=4), "Chrome 142 on Linux", "2001:db8:7::2", None),
    (timedelta(days=3), timedelta(minutes=50), "Chrome 142 on Linux", "2001:db8:7::2", None),
    (timedelta(days=13), timedelta(days=11), "Firefox 145 on Android TV", "203.0.113.9", "Living room"),
    (timedelta(hours=30), timedelta(hours=30), "curl 8", "192.0.2.77", None),
)
"""When each has signed in and was last used, what it is, from where, and what the user calls it."""

_behind = 0


def clock() -> int:
    return time.time_ns() // 1_000_000 - _behind


sessions = SessionManager(clock=clock)
sessions.label_devices(device_label)


async def seed(user: str) -> None:
    """Begin the sessions of `DEVICES`, each when it began, and use it when it was used last."""
    global _behind  # noqa: PLW0603 - one clock
    for signed_in, used, label, address, name in DEVICES:
        _behind = signed_in // timedelta(milliseconds=1)
        info = {"asgi_sessions.device_name": name} if name else None
        login = Login(user_id=user, session_info=info, absolute_timeout=10**11, idle_timeout=10**11)
        tokens = await sessions.lifecycle.create(login, device=Device(label, address))
        _behind = used // timedelta(milliseconds=1)
        row = await sessions.lifecycle._sessions.find(tokens.access.handle)
        assert row is not None
        await sessions.lifecycle._sessions.touch(
            row.handle, now=clock(), idle_expires_at=row.expires_at, unless_since=0
        )
    _behind = 0


async def begin(request: Request) -> Response:
    """Sign in, as somebody who has devices already or not."""
    user = request.query_params["user"]
    if "seeded" in request.query_params:
        await seed(user)
    if "from" in request.query_params:
        request.scope["client"] = (request.query_params["from"], 0)
    is_admin = "admin" in request.query_params
    await sessions.create_new_session(request, user, jwt_payload={"admin": is_admin}, index={"org": f"org of {user}"})
    return RedirectResponse("account/devices", 303)  # from this address, for proxies that serve it below a path


async def end(request: Request) -> Response:
    """Log all other devices of a user out, from elsewhere."""
    user, keep = request.query_params["user"], request.query_params.get("keep")
    return PlainTextResponse(str(await sessions.revoke_all_sessions_for_user(user, except_handle=keep)))


async def handles(request: Request) -> Response:
    found = await sessions.list_sessions_for_user(request.query_params["user"])
    return PlainTextResponse("\n".join(f"{each.session_handle} {each.device_label}" for each in found))


async def end_one(request: Request) -> Response:
    ended = await sessions.revoke_session_using_session_handle(request.query_params["handle"])
    return PlainTextResponse(str(ended))


async def sign_in(request: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>Sign in</title><h1>Sign in</h1>")


def notices(session: Any) -> list[SecurityNotice]:
    if session.user_id != "warned":
        return []
    at = from_ms(clock() - 7_200_000)
    return [SecurityNotice(text="A copied login was found and ended.", at=at, url="/safety", url_text="What happened?")]


def language(request: Request) -> str | None:
    return request.cookies.get("language")


def administrators() -> Mount:
    return Mount(
        "/admin",
        routes=administrators_routes(
            sessions,
            permission=require_session(claims={"admin": True}),
            brand="Example",
            home_url="/",
            sign_in_url="/sign-in",
            account_links=[("Your devices", "/account/devices")],
            user_name=lambda session: session.user_id,
            place=PLACES.get,
            language=language,
        ),
    )


def pages(**more: Any) -> Mount:
    return Mount(
        "/account",
        routes=pages_routes(
            sessions,
            brand="Example",
            home_url="/",
            sign_in_url="/sign-in",
            reauthenticate_url="/confirm",
            change_password_url="/password",
            account_links=[("Profile", "/profile"), ("Help", "/help")],
            user_name=lambda session: str(session.user_id).partition("-")[0].title() + " Lovelace",
            place=PLACES.get,
            notices=notices,
            language=language,
            translations=EXAMPLE_TRANSLATIONS,
            **more,
        ),
    )


app = Starlette(
    routes=[
        pages(),
        administrators(),
        Mount("/recent", routes=[pages(max_auth_age=0)]),
        Route("/begin", begin),
        Route("/end", end, methods=["POST", "GET"]),
        Route("/end-one", end_one, methods=["POST", "GET"]),
        Route("/handles", handles),
        Route("/sign-in", sign_in),
    ],
    middleware=[Middleware(SessionMiddleware, manager=sessions)],
)
