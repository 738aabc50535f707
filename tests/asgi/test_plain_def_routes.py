"""Routes of plain ``def`` run in a thread: what they call works on the application's loop, or says how."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from anyio import from_thread
from asgiref.sync import async_to_sync
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from asgi_sessions import ConfigurationError, Session, SessionManager, SessionMiddleware, get_session
from asgi_sessions.fastapi import CurrentSession
from tests.asgi.conftest import OpenClient

Call = Callable[..., Any]


def in_a_loop_of_its_own(function: Call, *arguments: Any) -> Any:
    async def run() -> Any:
        return await function(*arguments)

    return asyncio.run(run())


def by_asgiref(function: Call, *arguments: Any) -> Any:
    return async_to_sync(function)(*arguments)


CALLS: dict[str, Callable[[Session, SessionManager, Request], tuple[Any, ...]]] = {
    "Session.get_session_info": lambda session, _, __: (session.get_session_info,),
    "Session.update_session_info": lambda session, _, __: (session.update_session_info, {"seen": True}),
    "Session.update_jwt_payload": lambda session, _, __: (session.update_jwt_payload, {"role": "editor"}),
    "Session.check": lambda session, _, __: (session.check,),
    "Session.revoke_other_sessions": lambda session, _, __: (session.revoke_other_sessions,),
    "get_session": lambda _, __, request: (get_session, request),
    "get_session_of_the_manager": lambda _, sessions, request: (sessions.get_session, request),
    "create_new_session": lambda _, sessions, request: (sessions.create_new_session, request, "bob"),
    "refresh_session": lambda _, sessions, request: (sessions.refresh_session, request),
    "create_without_request": lambda _, sessions, __: (sessions.create_new_session_without_request, "bob"),
    "revoke_all": lambda _, sessions, __: (sessions.revoke_all_sessions_for_user, "bob"),
    "list_sessions": lambda _, sessions, __: (sessions.list_sessions_for_user, "alice"),
    "purge": lambda _, sessions, __: (sessions.purge_expired_sessions,),
    "Session.revoke_session": lambda session, _, __: (session.revoke_session,),
}
ENDLESS: dict[str, Callable[[Session, SessionManager, Request], tuple[Any, ...]]] = {
    "Session.wait_until_ended": lambda session, _, __: (session.wait_until_ended,)
}


def client_of(sessions: SessionManager, open_client: OpenClient, run: Call, name: str) -> TestClient:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, manager=sessions)

    @app.post("/login")
    async def login(request: Request) -> None:
        await sessions.create_new_session(request, "alice")

    @app.get("/me")
    async def me(session: CurrentSession) -> Any:
        return session.jwt_payload

    @app.post("/call")
    def call(request: Request, session: CurrentSession) -> str:
        run(*{**CALLS, **ENDLESS}[name](session, sessions, request))
        return "done"

    client = open_client(app)
    client.post("/login")
    return client


@pytest.mark.parametrize("name", CALLS)
def test_what_is_called_on_the_applications_loop_works(
    name: str, sessions: SessionManager, open_client: OpenClient
) -> None:
    client = client_of(sessions, open_client, from_thread.run, name)
    assert client.post("/call").json() == "done"
    assert client.get("/me").status_code == (401 if name == "Session.revoke_session" else 200)


@pytest.mark.parametrize("run", [in_a_loop_of_its_own, by_asgiref, trio.run])
@pytest.mark.parametrize("name", [*CALLS, *ENDLESS])
def test_what_is_called_on_another_loop_says_how_and_does_nothing(
    name: str, run: Call, sessions: SessionManager, open_client: OpenClient
) -> None:
    client = client_of(sessions, open_client, run, name)
    with pytest.raises(ConfigurationError, match="runs on another event loop") as caught:
        client.post("/call")
    assert "`async def`" in str(caught.value)
    assert "`anyio.from_thread.run(function, *arguments)`" in str(caught.value)
    assert client.get("/me").json() is None
    assert client.portal is not None
    listed = client.portal.call(sessions.list_sessions_for_user, "alice")
    assert len(listed) == 1
    assert client.portal.call(sessions.list_sessions_for_user, "bob") == []


@pytest.mark.parametrize("name", ["lifecycle", "end_connections"])
def test_what_needs_no_await_says_so_on_a_thread_without_a_loop(
    name: str, sessions: SessionManager, open_client: OpenClient
) -> None:
    client_of(sessions, open_client, from_thread.run, "Session.check")  # so that the manager runs and has been asked
    with pytest.raises(ConfigurationError, match=r"`anyio\.from_thread\.run\(function, \*arguments\)`"):
        getattr(sessions, name)()


def test_a_test_that_calls_the_manager_itself_is_told_of_the_portal(
    sessions: SessionManager, open_client: OpenClient
) -> None:
    client = client_of(sessions, open_client, from_thread.run, "Session.check")
    revoke = partial(sessions.revoke_all_sessions_for_user, "alice")
    with pytest.raises(ConfigurationError, match=r"`client\.portal\.call\(function, \*arguments\)`"):
        asyncio.run(revoke())
    assert client.portal is not None
    assert client.portal.call(revoke) == 1


def test_how_old_the_news_is_may_be_read_in_any_thread(sessions: SessionManager, open_client: OpenClient) -> None:
    with pytest.raises(ConfigurationError, match="not running"):
        _ = sessions.revocation_staleness
    client_of(sessions, open_client, from_thread.run, "Session.check")
    assert sessions.revocation_staleness is not None


def test_a_middleware_that_is_only_on_a_mounted_application_is_told_of_the_lifespan(
    sessions: SessionManager, open_client: OpenClient
) -> None:
    inner = FastAPI()
    inner.add_middleware(SessionMiddleware, manager=sessions)

    @inner.get("/me")
    async def me(session: CurrentSession) -> None: ...

    outer = FastAPI()
    outer.mount("/inner", inner)
    client = open_client(outer)
    with pytest.raises(ConfigurationError, match="a mounted application, which gets none, use `async with sessions:`"):
        client.get("/inner/me", headers={"cookie": "__Host-sAccessToken=x"})
