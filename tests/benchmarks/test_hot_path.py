"""A guard against slow growth: what the package does for a request, counted and not timed.

Whoever makes a request cheaper lowers its bound here; whoever must raise one says why in the commit.
"""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

import asgi_sessions
from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings, get_optional_session, get_session
from tests.benchmarks.counting import Count
from tests.security.statements import counted

PACKAGE = str(Path(asgi_sessions.__file__).parent)
HEADERS = [
    (b"host", b"example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip, deflate, br"),
]

BOUNDS = {
    # calls of Python functions of the package, and its bytecode instructions, on one request; 34 of the instructions
    # only fill slots, which costs less than to look up what is missing
    "unasked, no cookie": (5, {(3, 11): 233, (3, 12): 221, (3, 13): 212, (3, 14): 222, (3, 15): 223}),
    "unasked, with cookies": (5, {(3, 11): 233, (3, 12): 221, (3, 13): 212, (3, 14): 222, (3, 15): 223}),
    "nobody, asked for": (9, {(3, 11): 445, (3, 12): 427, (3, 13): 411, (3, 14): 440, (3, 15): 441}),
    "seen token": (15, {(3, 11): 640, (3, 12): 617, (3, 13): 604, (3, 14): 628, (3, 15): 629}),
    "new token": (38, {(3, 11): 1265, (3, 12): 1177, (3, 13): 1162, (3, 14): 1213, (3, 15): 1214}),
}
NEAR = 0.9
"""A bound that is further above what it bounds than that would let too much by."""
PAGES = {
    # the path, and whether the client is logged in nowhere
    "unasked, no cookie": ("/nobody", True),
    "unasked, with cookies": ("/nobody", False),
    "nobody, asked for": ("/perhaps", True),
    "seen token": ("/who", False),
    "new token": ("/who", False),
}


async def who(request: Request) -> Response:
    return PlainTextResponse(str((await get_session(request)).user_id))


async def perhaps(request: Request) -> Response:
    assert await get_optional_session(request) is None
    return PlainTextResponse("nobody")


async def nobody(_: Request) -> Response:
    return PlainTextResponse("nobody")


@pytest.fixture
async def sessions() -> AsyncIterator[SessionManager]:
    async with SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0)) as manager:
        yield manager


def scope(path: str, cookie: bytes) -> Scope:
    headers = [*HEADERS, *([(b"cookie", cookie)] if cookie else [])]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "asgi": {"version": "3.0"},
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("example.com", 443),
    }


async def answer(app: ASGIApp, scope: Scope) -> bytes:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    assert said[0]["status"] == 200
    body: bytes = said[1]["body"]
    return body


async def cookies_of(sessions: SessionManager, user: str) -> bytes:
    issued = await sessions.create_new_session_without_request(user, jwt_payload={"role": "user"})
    pair = ("sAccessToken", issued.access_token), ("sRefreshToken", issued.refresh_token)
    return "; ".join(f"__Host-{name}={token.value}" for name, token in pair).encode()


def bound(kind: str) -> tuple[int, int]:
    """The most calls and instructions for this version of Python; for one that is not known yet, of the newest."""
    calls, instructions = BOUNDS[kind]
    return calls, instructions.get(sys.version_info[:2], instructions[max(instructions)])


@pytest.mark.parametrize("kind", BOUNDS)
async def test_a_request_stays_below_its_bound(sessions: SessionManager, kind: str) -> None:
    routes = [Route("/who", who), Route("/perhaps", perhaps), Route("/nobody", nobody)]
    app = SessionMiddleware(Starlette(routes=routes), manager=sessions)
    path, anonymous = PAGES[kind]
    cookies = b"theme=dark" if anonymous else await cookies_of(sessions, "alice")
    await answer(app, scope("/who", await cookies_of(sessions, "bob")))
    if kind == "seen token":
        await answer(app, scope(path, cookies))
    request = scope(path, cookies)
    await asyncio.sleep(0)
    with counted() as statements, Count(PACKAGE) as count:
        assert await answer(app, request) == (b"alice" if path == "/who" else b"nobody")
    assert statements == []
    most_calls, most_instructions = bound(kind)
    assert most_calls * NEAR < count.calls.total() <= most_calls, count.calls
    assert most_instructions * NEAR < count.instructions <= most_instructions


@pytest.mark.parametrize("kind", BOUNDS)
async def test_a_request_leaves_nothing_for_the_garbage_collector(sessions: SessionManager, kind: str) -> None:
    """What keeps itself alive costs more when it is collected than when it was made."""
    routes = [Route("/who", who), Route("/perhaps", perhaps), Route("/nobody", nobody)]
    app = SessionMiddleware(Starlette(routes=routes), manager=sessions)
    path, anonymous = PAGES[kind]
    requests = [scope(path, b"theme=dark" if anonymous else await cookies_of(sessions, "alice")) for _ in range(3)]
    if kind == "seen token":
        requests = requests[:1] * 3
    await answer(app, requests.pop())
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for request in requests:
            await answer(app, request)
        gc.collect()
        left = [type(thing) for thing in gc.garbage if type(thing).__module__.startswith("asgi_sessions")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


async def test_the_count_sees_more_work(sessions: SessionManager) -> None:
    """The guard can fail: asking twice costs more than its bound."""

    async def asks_twice(request: Request) -> Response:
        await get_session(request)
        return await who(request)

    app = SessionMiddleware(Starlette(routes=[Route("/who", asks_twice)]), manager=sessions)
    cookies = await cookies_of(sessions, "alice")
    await answer(app, scope("/who", cookies))
    with Count(PACKAGE) as count:
        await answer(app, scope("/who", cookies))
    most_calls, most_instructions = bound("seen token")
    assert count.calls.total() > most_calls
    assert count.instructions > most_instructions
