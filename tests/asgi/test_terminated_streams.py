"""A response without an end in sight ends with its session: complete for the client, and quiet for the log."""

import asyncio
import gc
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from asgi_sessions import SessionManager, SessionMiddleware, get_optional_session, get_session
from asgi_sessions.manager import pending_termination
from asgi_sessions.manager.lifecycle import Lifecycle
from tests.asgi.apps import LIFETIME, new_manager
from tests.asgi.connections import Response, errors_in, login_cookie
from tests.clocks import MovableClock
from tests.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

SPEC_VERSIONS = pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
Endpoint = Callable[[Request], Awaitable[Answer]]


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert errors_in(caplog) == []


def app_with(sessions: SessionManager, endpoint: Endpoint, *inside: Any) -> Starlette:
    app = Starlette(routes=[Route("/stream", endpoint)])
    for middleware in inside:
        app.add_middleware(middleware)
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def waiting(sessions: SessionManager) -> int:
    return len(sessions.lifecycle._listeners)


class Ticks:
    """Events for ever; notes when its generator has been closed."""

    def __init__(self, pause: float = 0.001, first: bool = True, more: bytes = b"") -> None:
        self._closed = asyncio.Event()
        self._pause = pause
        self._first = first
        self._more = more

    async def are_closed(self) -> None:
        gc.collect()  # Python itself closes a generator that was about to yield, once nobody refers to it
        await asyncio.wait_for(self._closed.wait(), PATIENCE)

    async def __call__(self) -> AsyncIterator[bytes]:
        try:
            if self._first:
                yield b"data: first\n\n" + self._more
            while True:
                await asyncio.sleep(self._pause)
                yield b"data: tick\n\n"
        finally:
            self._closed.set()


def events(ticks: Ticks, *, media_type: str = "text/event-stream") -> Endpoint:
    async def endpoint(request: Request) -> Answer:
        await get_session(request)
        return StreamingResponse(ticks(), media_type=media_type)

    return endpoint


@SPEC_VERSIONS
async def test_a_stream_of_events_ends_and_its_generator_is_closed(sessions: SessionManager, spec_version: str) -> None:
    ticks = Ticks()
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, events(ticks)), cookie, spec_version=spec_version) as response:
            await response.hears(b"tick")
            assert waiting(sessions) == 1
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            await response.returned()
            await ticks.are_closed()
            assert response.heard[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
            assert response.status == 200
        assert waiting(sessions) == 0


@pytest.mark.parametrize("first", [True, False])
async def test_a_stream_that_has_nothing_to_say_ends_too(sessions: SessionManager, first: bool) -> None:
    ticks = Ticks(pause=3600, first=first)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, events(ticks)), cookie) as response:
            await response.begun()
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            await response.returned()
            await ticks.are_closed()


async def test_a_stream_ends_at_the_absolute_timeout_and_not_with_its_access_token(
    sessions: SessionManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_termination, "LONGEST_TIMER_SECONDS", 0.01)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, events(Ticks())), cookie) as response:
            await response.hears(b"tick")
            clock.advance(LIFETIME)
            heard = len(response.heard)
            await response.until(lambda: len(response.heard) > heard + 50)
            assert not response.complete
            clock.advance(days=100)
            await response.ended()


@SPEC_VERSIONS
async def test_inside_a_middleware_that_takes_answers_apart(sessions: SessionManager, spec_version: str) -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Answer:
            return await call_next(request)

    ticks = Ticks()
    app = app_with(sessions, events(ticks), Passing)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app, cookie, spec_version=spec_version) as response:
            await response.hears(b"tick")
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            await response.returned()
            await ticks.are_closed()


@SPEC_VERSIONS
async def test_inside_a_middleware_that_compresses(sessions: SessionManager, spec_version: str) -> None:
    # So much that cannot be compressed that every compressor lets some of it out.
    ticks = Ticks(more=random.randbytes(200_000))
    app = app_with(sessions, events(ticks, media_type="text/plain"), GZipMiddleware)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app, f"{cookie}", spec_version=spec_version) as response:
            response._scope["headers"].append((b"accept-encoding", b"gzip"))
            await response.until(lambda: len(response.body) > 100_000)
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            await response.returned()
            await ticks.are_closed()
            # What has left can be read; only the compressor's own last bytes are missing.
            assert zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(response.body).startswith(b"data: first")
            with pytest.raises(EOFError):
                gzip.decompress(response.body)


async def test_a_session_found_while_the_stream_runs_ends_it(sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Answer:
        async def lines() -> AsyncIterator[bytes]:
            yield b"before"
            session = await get_session(request)
            yield session.user_id.encode()
            await asyncio.Event().wait()

        return StreamingResponse(lines())

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.hears(b"alice")
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()


async def test_a_login_whose_answer_is_a_stream_goes_on_until_that_session_ends(sessions: SessionManager) -> None:
    handles: list[str] = []

    async def endpoint(request: Request) -> Answer:
        await get_session(request)
        session = await sessions.create_new_session(request, "alice")  # ends the one before
        handles.append(session.session_handle)
        return StreamingResponse(Ticks()())

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.hears(b"tick")
            assert not response.complete
            await sessions.revoke_session_using_session_handle(handles[0])
            await response.ended()


async def test_the_answer_of_a_logout_is_not_cut(sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Answer:
        session = await get_session(request)
        await session.revoke_session()

        async def lines() -> AsyncIterator[bytes]:
            for number in range(5):
                await asyncio.sleep(0.001)
                yield b"%d" % number

        return StreamingResponse(lines())

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.returned()
            assert response.body == b"01234"
            assert response.complete


async def test_a_stream_that_says_how_long_it_is_is_left_alone(sessions: SessionManager) -> None:
    going_on = asyncio.Event()

    async def endpoint(request: Request) -> Answer:
        await get_session(request)

        async def lines() -> AsyncIterator[bytes]:
            yield b"first"
            await going_on.wait()
            yield b"second"

        return StreamingResponse(lines(), headers={"content-length": "11"})

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.hears(b"first")
            await sessions.revoke_session_using_session_handle(handle)
            going_on.set()
            await response.returned()
            assert response.body == b"firstsecond"


@pytest.mark.parametrize("answer", [PlainTextResponse("x"), JSONResponse({}), Answer(status_code=204)])
async def test_an_ordinary_answer_waits_for_nothing(
    sessions: SessionManager, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endpoint(request: Request) -> Answer:
        await get_session(request)
        return answer

    def on_termination(*_: object) -> None:
        raise AssertionError("this costs something")

    async with sessions:
        _, cookie = await login_cookie(sessions)
        monkeypatch.setattr(Lifecycle, "on_termination", on_termination)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.returned()
            assert response.complete


@pytest.mark.parametrize("member", [True, False])
async def test_an_optional_session_ends_the_stream_where_there_is_one(sessions: SessionManager, member: bool) -> None:
    async def endpoint(request: Request) -> Answer:
        await get_optional_session(request)
        return StreamingResponse(Ticks()())

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie if member else "") as response:
            await response.hears(b"tick")
            await sessions.revoke_session_using_session_handle(handle)
            if member:
                await response.ended()
            else:
                heard = len(response.heard)
                await response.until(lambda: len(response.heard) > heard + 50)
                assert not response.complete


async def test_a_stream_that_is_done_is_not_ended_again(sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Answer:
        session = await get_session(request)

        async def lines() -> AsyncIterator[bytes]:
            yield b"all"

        async def afterwards() -> None:
            assert waiting(sessions) == 0
            await sessions.revoke_session_using_session_handle(session.session_handle)

        return StreamingResponse(lines(), background=BackgroundTask(afterwards))

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie) as response:
            await response.returned()
            assert response.body == b"all"
            assert sum(message.get("more_body") is False for message in response.heard) == 1


@SPEC_VERSIONS
async def test_an_error_of_the_applications_own_is_not_hidden(sessions: SessionManager, spec_version: str) -> None:
    async def endpoint(request: Request) -> Answer:
        session = await get_session(request)

        async def lines() -> AsyncIterator[bytes]:
            yield b"first"
            await sessions.revoke_session_using_session_handle(session.session_handle)
            raise ValueError("mine")

        return StreamingResponse(lines())

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, endpoint), cookie, spec_version=spec_version) as response:
            with pytest.raises(ValueError, match="mine"):
                await response.returned()


@pytest.mark.parametrize("ends", ["inner", "outer"])
async def test_of_two_managers_sessions_the_first_to_end_ends_the_stream(clock: MovableClock, ends: str) -> None:
    inner, outer = new_manager(clock, cookie_prefix="none", cookie_domain="testserver"), new_manager(clock)

    async def endpoint(request: Request) -> Answer:
        await inner.get_session(request)
        await outer.get_session(request)
        return StreamingResponse(Ticks()())

    app = app_with(inner, endpoint)
    app.add_middleware(SessionMiddleware, manager=outer)
    async with inner, outer:
        inner_handle, inner_cookie = await login_cookie(inner)
        outer_handle, outer_cookie = await login_cookie(outer)
        async with Response(app, f"{inner_cookie.replace('__Host-', '')}; {outer_cookie}") as response:
            await response.hears(b"tick")
            await (inner if ends == "inner" else outer).revoke_session_using_session_handle(
                inner_handle if ends == "inner" else outer_handle
            )
            await response.ended()
            await response.returned()
        assert waiting(inner) == waiting(outer) == 0


class Unfair(Response):
    """A server in which the end of a response overtakes what waits to be sent."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waits = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def _send(self, message: Any) -> None:
        if not self._ends(message):
            self.waits += 1
            self._changed.set()
            await self.gate.wait()
            self.waits -= 1
        await super()._send(message)


@SPEC_VERSIONS
async def test_what_waited_to_be_sent_and_is_refused_after_the_end_is_no_error(
    sessions: SessionManager, spec_version: str
) -> None:
    ticks = Ticks()
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Unfair(app_with(sessions, events(ticks)), cookie, spec_version=spec_version) as response:
            await response.hears(b"tick")
            response.gate.clear()
            await response.until(lambda: response.waits == 1)
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            response.gate.set()
            await response.returned()
            await ticks.are_closed()


async def test_a_server_that_waits_for_its_client_ends_the_response_when_it_can(sessions: SessionManager) -> None:
    ticks = Ticks()
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(app_with(sessions, events(ticks)), cookie) as response:
            await response.hears(b"tick")
            response.takes.clear()
            await sessions.revoke_session_using_session_handle(handle)
            response.takes.set()
            await response.ended()
            await response.returned()
            await ticks.are_closed()
