"""Whatever `recognise` says at once of a request, `resolve` says of it too, and the answers are the same."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import Session, SessionMiddleware
from asgi_sessions.errors import SessionError
from asgi_sessions.manager.connection import SCOPE_KEY, UNRESOLVED
from tests.asgi.apps import ACCESS, LIFETIME, MARKER, REFRESH, new_manager
from tests.asgi.connections import scope_of
from tests.clocks import START, MovableClock

DAY = 86_400.0
MANAGERS: dict[str, dict[str, Any]] = {
    "revocation feed": {},
    "no revocation check": {"revocation_check": "none"},
    "inline refresh": {"refresh": "inline", "revocation_check": "none"},
    "promotion on first use": {"promote_on": "first_use", "revocation_check": "none"},
    "earlier cookies": {"older_cookie_prefixes": ["app-"], "older_cookie_paths": ["/app"], "revocation_check": "none"},
    "connections as short as tokens": {"connection_lifetime": LIFETIME - 1, "revocation_check": "none"},
}


class Request(NamedTuple):
    """A request, and how it asks who is logged in.

    Attributes:
        pieces: Names of cookies and of what they hold, see `World`.
        headers: Those beside ``Cookie`` and ``Host``.
        age: Seconds from the login to the arrival.
        wait: Seconds from the arrival to the question.
    """

    kind: str
    method: str | None
    pieces: Sequence[tuple[str, str]]
    separator: str
    crumbs: bool
    headers: Sequence[tuple[bytes, bytes]]
    age: float
    wait: float
    required: bool
    csrf: bool | None
    check_database: bool


class World:
    """A manager on an event loop of its own, and what cookies of its clients may hold.

    Attributes:
        seen: How often the fast way said what.
    """

    def __init__(self, options: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
        self.seen: Counter[str] = Counter()
        self._log = log
        self._runner = asyncio.Runner()
        self._clock = MovableClock()
        self._sessions = new_manager(self._clock, purge_interval=0, **options)
        self._values = {"nothing": "", "text": "x.y.z", "quoted": '"x"'}
        self._runner.run(self._open())

    def close(self) -> None:
        self._runner.run(self._sessions.stop())
        self._runner.close()

    async def _open(self) -> None:
        await self._sessions.start()
        for name in ("alice", "bob", "revoked"):
            issued = await self._sessions.create_new_session_without_request(name, jwt_payload={"name": name})
            self._values[f"access of {name}"] = issued.access_token.value
            self._values[f"refresh of {name}"] = issued.refresh_token.value
        await self._sessions.revoke_all_sessions_for_user("revoked")
        self._values["changed"] = self._values["access of alice"][:-2] + "xx"
        other = new_manager(self._clock, purge_interval=0)
        async with other:
            issued = await other.create_new_session_without_request("alice")
            self._values["access of elsewhere"] = issued.access_token.value

    def ask(self, request: Request) -> None:
        """Ask both ways, on a request each. The fast one first: it changes nothing."""
        fast = self._runner.run(self._answered(request, fast=True))
        first = fast[0]
        self.seen[first if isinstance(first, str) else "session"] += 1
        if first != "unresolved":
            assert fast == self._runner.run(self._answered(request, fast=False))

    async def _answered(self, request: Request, *, fast: bool) -> list[Any]:
        """What the application was told, what the client, and what the audit log."""
        told: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self._clock.advance(request.wait)
            exchange = scope[SCOPE_KEY]
            required, csrf, check_database = request.required, request.csrf, request.check_database
            try:
                if fast:
                    found = exchange.recognise(required, csrf, check_database)
                else:
                    found = await exchange.resolve(required=required, csrf=csrf, check_database=check_database)
                told.append(_plain(found))
            except SessionError as error:
                told.append(type(error).__name__)
            if told == ["unresolved"]:
                return
            for csrf in (request.csrf, True):  # and what questions find that come after it
                try:
                    told.append(_plain(await exchange.resolve(csrf=csrf)))
                except SessionError as error:
                    told.append(type(error).__name__)
            if request.kind == "http":
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
            else:
                await send({"type": "websocket.accept"})

        heard: list[Message] = []

        async def hear() -> Message:
            return {"type": "http.request", "body": b""}

        async def say(message: Message) -> None:
            heard.append(message)

        self._log.clear()
        self._clock.now = START
        self._clock.advance(request.age)
        await SessionMiddleware(app, manager=self._sessions)(self._scope(request), hear, say)
        audit = [record.getMessage() for record in self._log.records if record.name == "asgi_sessions.audit"]
        return [*told, heard, audit]

    def _scope(self, request: Request) -> Scope:
        scope: Scope = scope_of(request.kind, "/", "", spec_version="2.3")
        cookies = [f"{name}={self._values[value]}".encode() for name, value in request.pieces]
        if not request.crumbs:
            cookies = [request.separator.encode().join(cookies)] if cookies else []
        scope["headers"] = [(b"host", b"testserver"), *request.headers, *((b"cookie", text) for text in cookies)]
        scope["method"] = request.method
        if request.method is None:
            del scope["method"]
        return scope


def _plain(found: Session[Any, Any] | object) -> Any:
    if found is UNRESOLVED:
        return "unresolved"
    if isinstance(found, Session):
        return found.session_handle, found.user_id, found.jwt_payload, found.expires_at, found.auth_time
    return "nobody"


PIECES = st.tuples(
    st.sampled_from(
        [ACCESS, REFRESH, MARKER, "theme", f"x{ACCESS}", f"{ACCESS}x", "app-sAccessToken", "app-sRefreshToken"]
    ),
    st.sampled_from(
        ["nothing", "text", "quoted", "changed", "access of elsewhere"]
        + [f"{kind} of {user}" for kind in ("access", "refresh") for user in ("alice", "bob", "revoked")]
    ),
)
JARS = st.sampled_from(["alice", "bob", "revoked"]).map(
    lambda user: [(ACCESS, f"access of {user}"), (REFRESH, f"refresh of {user}")]
)
PLANTED = st.tuples(JARS, st.lists(PIECES, max_size=2), st.booleans()).map(
    lambda jar: [*jar[1], *jar[0]] if jar[2] else [*jar[0], *jar[1]]
)
HEADERS = st.lists(
    st.sampled_from(
        [
            (b"origin", b"https://testserver"),
            (b"origin", b"https://evil.example"),
            (b"sec-fetch-site", b"same-origin"),
            (b"sec-fetch-site", b"cross-site"),
            (b"sec-fetch-mode", b"navigate"),
            (b"sec-fetch-dest", b"document"),
            (b"authorization", b"Bearer x.y.z"),
        ]
    ),
    max_size=3,
)
REQUESTS = st.builds(
    Request,
    kind=st.sampled_from(["http", "http", "websocket"]),
    method=st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", None]),
    pieces=st.one_of(JARS, JARS, PLANTED, st.lists(PIECES, max_size=4)),
    separator=st.sampled_from(["; ", "; ", ";", " ; ", ", "]),
    crumbs=st.booleans(),
    headers=HEADERS,
    age=st.sampled_from([0, 0, 0, 1, LIFETIME - 2, LIFETIME - 1, LIFETIME, DAY]),
    wait=st.sampled_from([0, 0, 0, 1, LIFETIME - 2, LIFETIME - 1, LIFETIME, DAY]),
    required=st.booleans(),
    csrf=st.sampled_from([None, None, True, False]),
    check_database=st.sampled_from([False, False, False, True]),
)


BROWSERS = Request(
    kind="http",
    method="GET",
    pieces=[(ACCESS, "access of alice"), (REFRESH, "refresh of alice")],
    separator="; ",
    crumbs=False,
    headers=[],
    age=1,
    wait=0,
    required=True,
    csrf=None,
    check_database=False,
)


@pytest.fixture(params=MANAGERS)
def world(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")
    world = World(MANAGERS[request.param], caplog)
    yield world
    world.close()


def test_both_ways_agree(world: World) -> None:
    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
    @given(REQUESTS)
    @example(BROWSERS)
    @example(BROWSERS._replace(check_database=True))
    @example(BROWSERS._replace(method="POST", headers=[(b"origin", b"https://evil.example")]))
    @example(BROWSERS._replace(pieces=[]))
    @example(BROWSERS._replace(pieces=[], required=False))
    def agree(request: Request) -> None:
        world.ask(request)

    agree()
    assert {"session", "nobody", "Unauthorised", "CsrfRejected", "unresolved"} <= world.seen.keys(), world.seen
