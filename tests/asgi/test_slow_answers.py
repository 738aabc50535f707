"""A slow answer does not overwrite a later login or logout: its tokens leave only while they are good.

Whichever call made them: a refresh, a login, a change of the payload.
"""

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, get_session
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    LIFETIME,
    REFRESH,
    Jar,
    application,
    cookies_set,
    parsed_cookies,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PAIR = {ACCESS, REFRESH}

Meanwhile = Callable[[httpx2.AsyncClient, Jar], Awaitable[object]]
Answer = Callable[[float, Meanwhile], httpx2.Response]


async def nothing(_client: httpx2.AsyncClient, _jar: Jar) -> None:
    """The session stays as it is."""


async def log_in_again(client: httpx2.AsyncClient, jar: Jar) -> None:
    response = await client.post("/login", headers=jar.header)
    assert response.status_code == 200


async def log_out(client: httpx2.AsyncClient, jar: Jar) -> None:
    response = await client.post("/logout", headers=jar.header)
    assert response.status_code == 200


@pytest.fixture
def answer(open_client: OpenClient, clock: MovableClock, sessions: SessionManager) -> Answer:
    """The answer to a request that refreshes at once, and takes so many seconds while something else happens."""

    def ask(seconds: float, meanwhile: Meanwhile) -> httpx2.Response:
        jar = Jar()

        async def slow(request: Request) -> Response:
            await get_session(request)
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as other:
                await meanwhile(other, jar)
            clock.advance(seconds)
            return JSONResponse({})

        app = application(sessions, Route("/slow", slow))
        client = open_client(app)
        jar.take(client.post("/login"))
        clock.advance(LIFETIME)
        response: httpx2.Response = client.get("/slow", headers=jar.header)
        assert response.status_code == 200
        return response

    return ask


@pytest.mark.parametrize("meanwhile", [log_in_again, log_out])
def test_a_slow_answer_of_a_session_that_has_ended_meanwhile_sets_no_cookies(
    meanwhile: Meanwhile, answer: Answer
) -> None:
    assert cookies_set(answer(0.101, meanwhile)) == {}


def test_a_slow_answer_of_a_session_that_still_lives_sets_its_cookies(answer: Answer) -> None:
    assert cookies_set(answer(0.101, nothing)).keys() == PAIR


def test_an_answer_within_a_tenth_of_a_second_sets_its_cookies_without_another_look(answer: Answer) -> None:
    assert cookies_set(answer(0.1, log_in_again)).keys() == PAIR


@pytest.mark.parametrize(("ends", "expected"), [(True, set()), (False, PAIR)])
def test_a_websocket_that_is_accepted_late_sets_its_cookies_only_while_the_session_lives(
    ends: bool, expected: set[str], open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        if ends:
            await sessions.revoke_session_using_session_handle(session.session_handle)
        clock.advance(0.101)
        await websocket.accept()
        await websocket.close()

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    client.post("/login")
    clock.advance(LIFETIME)
    with client.websocket_connect("wss://testserver/socket", headers={"origin": BASE_URL}) as websocket:
        sent: list[tuple[bytes, bytes]] = websocket.extra_headers  # type: ignore[assignment]  # annotated as None
    assert parsed_cookies([value.decode() for name, value in sent if name == b"set-cookie"]).keys() == expected
