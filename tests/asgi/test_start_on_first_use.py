"""Where no lifespan runs, the first request starts the manager if the middleware is told so; and asyncio is needed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import trio
from starlette.applications import Starlette
from starlette.testclient import TestClient

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, StoreUnavailable
from asgi_sessions.manager.runtime import Runtime
from tests.asgi.apps import BASE_URL, application
from tests.asgi.connections import Socket
from tests.asgi.test_lifespan import Server, is_running
from tests.asgi.test_stopping import app_with
from tests.starts import noted_starts


def started_by_use(app: Starlette, sessions: SessionManager) -> SessionMiddleware:
    return SessionMiddleware(app, sessions, start_on="first_use")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Every start that opens something."""
    return noted_starts(monkeypatch)


@pytest.fixture
async def client(sessions: SessionManager) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=started_by_use(application(sessions), sessions))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client
    await sessions.stop()


async def test_the_first_request_starts_it_and_those_beside_it_wait(
    client: httpx2.AsyncClient, sessions: SessionManager, opened: list[Runtime]
) -> None:
    answers = await asyncio.gather(*(client.post("/login") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert (await client.get("/me")).json()["user"] == "alice"
    assert len(opened) == 1
    await sessions.stop()  # one start, undone by one stop
    assert not await is_running(sessions)


async def test_a_socket_starts_it_too(sessions: SessionManager) -> None:
    async with Socket(started_by_use(app_with(sessions), sessions), "") as socket:
        await socket.hears("ready")
    assert await is_running(sessions)
    await sessions.stop()


async def test_where_a_lifespan_has_started_it_a_request_does_not(
    sessions: SessionManager, opened: list[Runtime]
) -> None:
    app = started_by_use(application(sessions), sessions)
    server = Server(app)
    await server.tell("startup")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE_URL) as client:
        assert (await client.post("/login")).status_code == 200
    await server.tell("shutdown")
    await server.ended()
    assert len(opened) == 1
    assert not await is_running(sessions)


async def test_a_lifespan_alone_starts_it_as_ever(sessions: SessionManager) -> None:
    server = Server(started_by_use(application(sessions), sessions))
    await server.tell("startup")
    assert await is_running(sessions)
    await server.tell("shutdown")
    await server.ended()


async def test_a_start_that_fails_is_503_and_the_next_request_tries_again(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: Runtime) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as down:
        down.setattr(Runtime, "open", unavailable)
        answer = await client.post("/login")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert "retry-after" in answer.headers
    assert (await client.post("/login")).status_code == 200


async def test_a_first_request_whose_client_goes_leaves_the_start_to_the_others(
    client: httpx2.AsyncClient, opened: list[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opens = asyncio.Event(), Runtime.open

    async def hangs_once(runtime: Runtime) -> None:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        await opens(runtime)

    monkeypatch.setattr(Runtime, "open", hangs_once)
    first = asyncio.create_task(client.post("/login"))
    await begun.wait()
    second = asyncio.create_task(client.post("/login"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status_code == 200


def test_a_word_for_it_that_is_none_is_refused(sessions: SessionManager) -> None:
    word: Any = "request"
    with pytest.raises(ConfigurationError, match='"lifespan" or "first_use"'):
        SessionMiddleware(application(sessions), sessions, start_on=word)


# -- without asyncio

NEEDS_ASYNCIO = "No asyncio event loop runs here.*hypercorn -k asyncio"


def test_under_trio_the_start_says_that_asyncio_is_needed(sessions: SessionManager) -> None:
    with (
        pytest.raises(ConfigurationError, match=NEEDS_ASYNCIO),
        TestClient(application(sessions), backend="trio"),
    ):
        pass


@pytest.mark.parametrize("start_on", ["lifespan", "first_use"])
def test_under_trio_a_request_says_so_as_well(sessions: SessionManager, start_on: Any) -> None:
    client = TestClient(SessionMiddleware(application(sessions), sessions, start_on=start_on), backend="trio")
    with pytest.raises(ConfigurationError, match=NEEDS_ASYNCIO):
        client.get("/me")


def test_under_trio_the_upgrade_of_the_tables_says_so(sessions: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match=NEEDS_ASYNCIO):
        trio.run(sessions.upgrade_database)


def test_outside_any_loop_too(sessions: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match=NEEDS_ASYNCIO):
        sessions.end_connections()
