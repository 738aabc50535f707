"""An application that reports its errors to Sentry, with the SDK's defaults: writes what would have been sent.

A process of its own, since the SDK changes Starlette, SQLAlchemy and others for good. Writes a line of JSON for each
story, with its secrets, the events as the SDK has made them, and what was sent of them.
"""

import asyncio
import copy
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import (
    SessionError,
    SessionManager,
    SessionMiddleware,
    SessionSettings,
    get_session,
    session_exception_handler,
    session_routes,
)
from asgi_sessions.scrubbing import scrub_event
from tests.security.browser import Answer, Browser
from tests.security.canary import Canary
from tests.security.forging import of_unknown_key, refresh_of_unknown_key
from tests.security.shop import Clock

MINUTES = 6
"""After which an access token has expired."""

made: list[Any] = []
sent: list[Any] = []


class Captured(Transport):
    """Keeps what would have been sent."""

    def capture_envelope(self, envelope: Envelope) -> None:
        sent.extend(item.get_event() or item.get_transaction_event() or item.payload.json for item in envelope.items)


def scrub(event: Any, hint: Any) -> Any:
    made.append(copy.deepcopy(event))
    return scrub_event(event, hint)


def start() -> None:
    sentry_sdk.init(
        "https://key@example.invalid/1",
        transport=Captured,
        traces_sample_rate=1.0,
        enable_logs=True,
        send_default_pii=True,
        max_request_body_size="always",
        before_send=scrub,
        before_send_transaction=scrub,
        before_send_log=scrub,
    )


def forget() -> None:
    """What went before a story."""
    sentry_sdk.flush()
    made.clear()
    sent.clear()


async def fail(request: Request) -> Response:
    await get_session(request)
    headers = dict(request.headers)
    logging.getLogger("shop").error("The order of %s failed", headers)
    sentry_sdk.add_breadcrumb(message=f"cookie: {headers.get('cookie')}", data={"headers": headers})
    raise ValueError(f"no such order: {request.headers.get('cookie')}")


async def me(request: Request) -> Response:
    return Response(str((await get_session(request)).user_id))


async def login(request: Request) -> Response:
    await request.app.state.sessions.create_new_session(request, "alice", jwt_payload={"role": "user"})
    if "fail" in request.query_params:
        raise ValueError("after the login")
    return Response()


async def payload(request: Request) -> Response:
    await (await get_session(request)).update_jwt_payload({"role": "admin"})
    return Response()


async def logout(request: Request) -> Response:
    await (await get_session(request)).revoke_session()
    return Response()


async def stream(request: Request) -> Response:
    await get_session(request)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("in a stream")

    return StreamingResponse(parts())


async def socket(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    raise ValueError("in a socket")


async def by_hand(request: Request) -> Response:
    """As a native client's application does that carries tokens itself."""
    body = await request.json()
    manager = request.app.state.sessions
    if "refresh_token" in body:
        await manager.refresh_session_without_request(body["refresh_token"])
    else:
        await manager.get_session_without_request(body["access_token"], check_database=True)
    raise ValueError("by hand")


async def report(request: Any, error: Exception) -> Any:
    """Each of our errors is reported as well, as a cautious application may do."""
    sentry_sdk.capture_exception(error)
    return await session_exception_handler(request, error)


ROUTES = [
    Route("/fail", fail, methods=["GET", "POST"]),
    Route("/me", me, methods=["GET", "POST"]),
    Route("/login", login, methods=["POST"]),
    Route("/payload", payload, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/stream", stream),
    Route("/by-hand", by_hand, methods=["POST"]),
    WebSocketRoute("/socket", socket),
    Mount("/auth", routes=session_routes()),
]


class Site:
    """A running application, and the secrets that it has handed out."""

    def __init__(self, sessions: SessionManager, clock: Clock) -> None:
        app = Starlette(routes=ROUTES, exception_handlers={SessionError: report})
        app.state.sessions = sessions
        app.add_middleware(SessionMiddleware, manager=sessions)
        self.app = app
        self.sessions = sessions
        self.clock = clock
        self.canary = Canary()
        self.browser = Browser(self.told)
        self.deaf = False

    async def told(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            answer = Answer(0, list(message.get("headers", ())))
            self.canary.watch_answer(answer)
            if self.deaf:
                raise OSError("the client has gone")
            await send(message)

        await self.app(scope, receive, say)

    async def login(self) -> None:
        await self.browser.post("/login")
        forget()

    async def without_database(self) -> None:
        await self.sessions.lifecycle._sessions._run(text("ALTER TABLE asgi_sessions_sessions RENAME TO gone"), {})

    async def send(self, method: str, path: str, **options: Any) -> None:
        await self.browser.send(method, path, raises=False, **options)


Story = Callable[[Site], Awaitable[None]]


async def an_application_fails(site: Site) -> None:
    await site.login()
    await site.send("GET", "/fail")
    await site.send("GET", "/stream")
    with suppress(ValueError):
        await site.browser.connect("/socket")


async def an_application_fails_after_a_refresh_and_a_login(site: Site) -> None:
    await site.login()
    site.clock.forward(minutes=MINUTES)
    await site.send("GET", "/fail")
    await site.send("POST", "/login?fail")


async def the_client_goes_before_its_tokens_leave(site: Site) -> None:
    await site.login()
    site.clock.forward(minutes=MINUTES)
    site.deaf = True
    await site.send("GET", "/me")
    await site.send("POST", "/login")
    await site.send("POST", "/payload")
    await site.send("POST", "/logout")


async def the_database_is_away(site: Site) -> None:
    await site.login()
    await site.without_database()
    for path in ("/login", "/payload", "/logout", "/auth/signout", "/auth/session/refresh"):
        await site.send("POST", path)
    site.clock.forward(minutes=MINUTES)
    marker = site.browser.cookies["__Host-sRetryMarker"] = "BA" + "m" * 96
    site.canary.watch(marker)
    await site.send("GET", "/me")


async def a_session_has_ended(site: Site) -> None:
    await site.login()
    await site.sessions.revoke_all_sessions_for_user("alice")
    for path in ("/me", "/payload", "/auth/session/refresh"):
        cookies = list(site.browser.cookies.items())
        await site.send("POST", path, cookies=cookies)
    await site.send("GET", "/auth/sessions")


async def a_stolen_token_is_used(site: Site) -> None:
    await site.login()
    thief = site.browser.copy()
    for _ in range(3):
        site.clock.forward(minutes=MINUTES)
        await site.send("GET", "/me")
    await thief.send("GET", "/me", raises=False)


async def another_site_asks(site: Site) -> None:
    await site.login()
    for path in ("/me", "/login", "/auth/signout", "/auth/session/refresh"):
        await site.send("POST", path, headers=[("sec-fetch-site", "cross-site")])


async def tokens_are_nearly_good(site: Site) -> None:
    await site.login()
    access, refresh = (site.browser.find(name) for name in ("sAccessToken", "sRefreshToken"))
    for text_ in (access[:-4] + "AAAA", of_unknown_key(access, 1), access.replace(".", ".a", 1)):
        site.canary.watch(text_)
        await site.send("GET", "/me", cookies=[("__Host-sAccessToken", text_)])
        await site.send("GET", "/me", cookies=[("__Host-sAccessToken", text_), ("__Host-sAccessToken", access)])
    for text_ in (refresh[:-4] + "AAAA", refresh_of_unknown_key(refresh, 1)):
        site.canary.watch(text_)
        await site.send("GET", "/me", cookies=[("__Host-sRefreshToken", text_)])
    copies = [("__Host-sAccessToken", access + "a" * number) for number in range(9)]
    await site.send("POST", "/auth/signout", cookies=copies)


async def keys_cannot_be_loaded(site: Site) -> None:
    await site.login()
    access, refresh = (site.browser.find(name) for name in ("sAccessToken", "sRefreshToken"))
    await site.sessions.lifecycle._sessions._run(text("ALTER TABLE asgi_sessions_signing_keys RENAME TO gone"), {})
    for name, text_ in (("Access", of_unknown_key(access, 2)), ("Refresh", refresh_of_unknown_key(refresh, 2))):
        site.canary.watch(text_)
        site.clock.forward(seconds=2)
        await site.send("GET", "/me", cookies=[(f"__Host-s{name}Token", text_)])


async def tokens_travel_in_headers(site: Site) -> None:
    issued = await site.sessions.create_new_session_without_request("alice", jwt_payload={"role": "user"})
    tokens = issued.access_token.value, issued.refresh_token.value
    site.canary.watch(*tokens)
    forget()
    for token in tokens:
        await site.send("GET", "/fail", headers=[("authorization", f"Bearer {token}"), ("st-access-token", token)])
        await site.send("POST", "/auth/session/refresh", headers=[("authorization", f"Bearer {token}")])


async def tokens_are_carried_by_hand(site: Site) -> None:
    issued = await site.sessions.create_new_session_without_request("alice", jwt_payload={"role": "user"})
    access, refresh = issued.access_token.value, issued.refresh_token.value
    site.canary.watch(access, refresh)
    forget()
    for body in ({"access_token": access}, {"access_token": refresh}, {"refresh_token": access}):
        await site.send(
            "POST", "/by-hand", body=json.dumps(body).encode(), headers=[("content-type", "application/json")]
        )
    await site.without_database()
    for body in ({"access_token": access}, {"refresh_token": refresh}):
        await site.send(
            "POST", "/by-hand", body=json.dumps(body).encode(), headers=[("content-type", "application/json")]
        )


STORIES: list[tuple[Story, dict[str, Any]]] = [
    (an_application_fails, {}),
    (an_application_fails, {"csrf": "both", "client_protocol": "supertokens", "cookie_prefix": "__Host-shop-"}),
    (an_application_fails_after_a_refresh_and_a_login, {}),
    (the_client_goes_before_its_tokens_leave, {}),
    (the_database_is_away, {}),
    (the_database_is_away, {"csrf": "both", "refresh": "endpoint"}),
    (a_stolen_token_is_used, {"csrf": "token", "client_protocol": "supertokens"}),
    (a_session_has_ended, {}),
    (a_stolen_token_is_used, {}),
    (another_site_asks, {}),
    (tokens_are_nearly_good, {}),
    (keys_cannot_be_loaded, {}),
    (tokens_travel_in_headers, {"token_transport": "any"}),
    (tokens_are_carried_by_hand, {}),
]


@asynccontextmanager
async def running(folder: str, settings: dict[str, Any]) -> AsyncIterator[Site]:
    clock = Clock()
    url = f"sqlite+aiosqlite:///{folder}/sessions.db"
    manager = SessionManager(SessionSettings(database_url=url, purge_interval=0, **settings), clock=clock)
    async with manager:
        yield Site(manager, clock)


async def main() -> None:
    start()
    for story, settings in STORIES:
        with tempfile.TemporaryDirectory() as folder:
            async with running(folder, settings) as site:
                await story(site)
                sentry_sdk.flush()
        name = " ".join([story.__name__, *map(str, settings.values())])
        print(
            json.dumps({"name": name, "secrets": sorted(site.canary.secrets), "made": made, "sent": sent}, default=repr)
        )
        forget()


if __name__ == "__main__":
    asyncio.run(main())
