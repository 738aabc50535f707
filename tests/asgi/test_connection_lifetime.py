"""What a connection came with is good for a day: sockets, streams and uploads come again, and are asked anew."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import SessionManager, get_session
from asgi_sessions.manager import pending_termination
from asgi_sessions.protocol.connections import EARLIER
from tests.asgi import connections
from tests.asgi.apps import ACCESS, LIFETIME, REFRESH, application, new_manager
from tests.asgi.connections import Socket, errors_in, login_cookie
from tests.clocks import MovableClock
from tests.security.browser import Browser

pytestmark = pytest.mark.usefixtures("at_the_time_of_day", "timers_look_often")

DAY = 86_400.0
AGAIN = (4408, "reconnect")


@pytest.fixture
def timers_look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is moved, timers follow real time."""
    monkeypatch.setattr(pending_termination, "LONGEST_TIMER_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert errors_in(caplog) == []


@pytest.fixture(params=["feed", "database", "none"])
def sessions(request: pytest.FixtureRequest, clock: MovableClock) -> SessionManager:
    return new_manager(clock, revocation_check=request.param)


async def socket_page(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await websocket.send_text(session.user_id)
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as error:
        websocket.app.state.learned = error.code, error.reason


async def stream_page(request: Request) -> Response:
    user = (await get_session(request)).user_id

    async def ticks() -> AsyncIterator[str]:
        while True:
            yield f"{user} "
            await asyncio.sleep(0.01)

    return StreamingResponse(ticks())


def app_of(sessions: SessionManager) -> Starlette:
    return application(sessions, WebSocketRoute("/socket", socket_page), Route("/stream", stream_page))


def without_refresh(cookie: str) -> str:
    """What somebody holds who has stolen an access token."""
    return cookie.partition("; ")[0]


async def test_a_socket_opened_with_a_stolen_access_token_ends_after_a_day_however_active_its_user_is(
    sessions: SessionManager, clock: MovableClock
) -> None:
    app = app_of(sessions)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        user = Browser(app, host="testserver")
        user.cookies = dict(pair.split("=", 1) for pair in cookie.split("; "))
        async with Socket(app, without_refresh(cookie)) as thief:
            await thief.hears("alice")
            for _ in range(22):
                clock.advance(3600)
                assert (await user.get("/me")).status == 200
            thief.say("still there")
            await thief.hears("still there")
            clock.advance(2 * 3600)
            assert await thief.closed() == AGAIN
            await thief.returned()
        assert app.state.learned == AGAIN
        assert len(sessions.lifecycle._listeners) == 0
        async with Socket(app, without_refresh(cookie)) as thief:
            await thief.returned()
        assert not thief.texts
        assert (await user.get("/me")).status == 200, "the session goes on"


async def test_whoever_has_the_jar_comes_again_and_the_handshake_refreshes(
    sessions: SessionManager, clock: MovableClock
) -> None:
    app = app_of(sessions)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as socket:
            await socket.hears("alice")
            clock.advance(DAY)
            assert await socket.closed() == AGAIN
        async with Socket(app, cookie) as socket:
            await socket.hears("alice")
        accepted = next(message for message in socket.heard if message["type"] == "websocket.accept")
        cookies = [value.split(b"=")[0].decode() for name, value in accepted["headers"] if name == b"set-cookie"]
        assert cookies == [ACCESS, REFRESH]


async def test_a_stream_ends_completely(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with connections.Response(app_of(sessions), cookie) as response:
            await response.hears(b"alice ")
            clock.advance(0.9 * DAY)
            heard = len(response.heard)
            await response.until(lambda: len(response.heard) > heard + 20)
            assert not response.complete
            clock.advance(0.1 * DAY)
            await response.ended()
            await response.returned()


async def test_a_session_that_ends_first_says_so(clock: MovableClock) -> None:
    sessions = new_manager(clock, absolute_timeout="1d", idle_timeout="1d")
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_of(sessions), cookie) as socket:
            await socket.hears("alice")
            clock.advance(DAY)
            assert await socket.closed() == (4401, "session ended")


async def test_connections_that_came_together_do_not_all_come_again_together(clock: MovableClock) -> None:
    sessions = new_manager(clock)
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        access = await sessions.lifecycle.verifier.authentic(issued.access_token.value)
        assert access is not None
        now = clock()
        watches = [sessions.lifecycle.on_termination(access, lambda: None, arrived_at=now) for _ in range(50)]
        ends = [watch._until - now for watch in watches]
        for watch in watches:
            watch.cancel()
    assert len(set(ends)) > 40
    assert (1 - EARLIER) * DAY * 1000 <= min(ends) < max(ends) <= DAY * 1000


@pytest.mark.parametrize("cookies", [[ACCESS], [REFRESH], [ACCESS, REFRESH]], ids=" ".join)
@pytest.mark.parametrize(("takes", "status"), [(DAY - 1, 200), (DAY, 401), (9 * DAY, 401)])
async def test_an_upload_that_takes_longer_is_asked_to_come_again(
    sessions: SessionManager, clock: MovableClock, cookies: list[str], takes: float, status: int
) -> None:
    async def upload(request: Request) -> Response:
        await request.body()
        clock.advance(takes)
        return PlainTextResponse((await get_session(request)).user_id)

    async with sessions:
        browser = Browser(application(sessions, Route("/upload", upload, methods=["POST"])), host="testserver")
        await browser.post("/login")
        jar = dict(browser.cookies)
        browser.cookies = {name: jar[name] for name in cookies}
        if ACCESS not in cookies:
            clock.advance(LIFETIME)
        answer = await browser.post("/upload")
        assert (answer.status, answer.code) == (status, None if status == 200 else "try_refresh_token")
        assert answer.set_cookies == []
        browser.cookies = jar
        assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize(("takes", "logout"), [(DAY - 1, False), (DAY - 1, True), (1, True), (DAY, False)])
async def test_an_upload_that_has_its_session_goes_on_and_is_judged_when_it_asks_again(
    sessions: SessionManager, clock: MovableClock, takes: float, logout: bool
) -> None:
    stored: list[bytes] = []

    async def upload(request: Request) -> Response:
        user = (await get_session(request)).user_id
        clock.advance(takes)
        if logout:
            await sessions.revoke_all_sessions_for_user(user)
        stored.append(await request.body())  # nothing has interrupted it
        return PlainTextResponse((await get_session(request)).user_id)

    async with sessions:
        browser = Browser(application(sessions, Route("/upload", upload, methods=["POST"])), host="testserver")
        await browser.post("/login")
        answer = await browser.post("/upload")
        assert len(stored) == 1
        felt = logout and (takes > LIFETIME or sessions.settings.revocation_check != "none")
        refused = "unauthorised" if felt else "try_refresh_token"
        good = not felt and takes < DAY
        assert (answer.status, answer.code) == ((200, None) if good else (401, refused))


async def test_a_login_at_the_end_of_a_long_upload_counts(clock: MovableClock) -> None:
    sessions = new_manager(clock)

    async def upload(request: Request) -> Response:
        clock.advance(2 * DAY)
        await sessions.create_new_session(request, "bob")
        return PlainTextResponse((await get_session(request)).user_id)

    async with sessions:
        browser = Browser(application(sessions, Route("/upload", upload, methods=["POST"])), host="testserver")
        assert (await browser.post("/upload")).body == b"bob"
