"""What a Session does for the response, and where it refuses to go."""

import copy
import pickle
import re
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_sessions import PayloadTooLarge, Session, SessionManager, SessionMiddleware, Unauthorised, get_session
from asgi_sessions.fastapi import CurrentSession
from tests.asgi.apps import (
    ACCESS,
    CLEARED,
    LIFETIME,
    REFRESH,
    application,
    cookies_set,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


def client_with(open_client: OpenClient, sessions: SessionManager, *routes: Route, **login: Any) -> TestClient:
    client = open_client(application(sessions, *routes))
    client.post("/login", json={"user_id": "alice", **login})
    return client


async def promote(request: Request) -> Response:
    session = await get_session(request)
    token = await session.update_jwt_payload({"role": "admin"})
    return JSONResponse({"payload": session.jwt_payload, "token": token.value})


def test_a_new_payload_leaves_with_a_new_access_token_alone(open_client: OpenClient, sessions: SessionManager) -> None:
    client = client_with(open_client, sessions, Route("/promote", promote), jwt_payload={"role": "user"})
    response = client.get("/promote")
    assert response.json()["payload"] == {"role": "admin"}
    assert cookies_set(response) == {ACCESS: response.json()["token"]}
    assert response.headers["cache-control"] == "no-store"
    assert client.get("/me").json()["payload"] == {"role": "admin"}


def test_a_new_payload_does_not_prolong_the_access_token(open_client: OpenClient, clock: MovableClock) -> None:
    client = client_with(open_client, new_manager(clock, refresh="endpoint"), Route("/promote", promote))
    clock.advance(LIFETIME - 2)
    client.get("/promote")
    assert client.get("/me").status_code == 200
    clock.advance(2)
    assert client.get("/me").json()["code"] == "try_refresh_token"


def test_a_new_payload_survives_the_refresh(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = client_with(open_client, sessions, Route("/promote", promote))
    client.get("/promote")
    clock.advance(LIFETIME)
    assert client.get("/me").json()["payload"] == {"role": "admin"}


def test_a_payload_changed_in_a_request_that_refreshed_leaves_with_the_new_pair(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = client_with(open_client, sessions, Route("/promote", promote))
    clock.advance(LIFETIME)
    response = client.get("/promote")
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert cookies_set(response)[ACCESS] == response.json()["token"]
    assert client.get("/me").json()["payload"] == {"role": "admin"}


def test_a_payload_that_is_too_large_changes_nothing(open_client: OpenClient, sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        with pytest.raises(PayloadTooLarge):
            await session.update_jwt_payload("x" * 4000)
        with pytest.raises(TypeError, match="tuple"):
            await session.update_jwt_payload(("a",))
        return JSONResponse(session.jwt_payload)

    client = client_with(open_client, sessions, Route("/change", endpoint), jwt_payload="old")
    response = client.get("/change")
    assert response.json() == "old"
    assert cookies_set(response) == {}


def test_session_info_is_read_and_written(open_client: OpenClient, sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        before = await session.get_session_info()
        await session.update_session_info({"count": 2})
        return JSONResponse([before, await session.get_session_info()])

    client = client_with(open_client, sessions, Route("/info", endpoint), session_info={"count": 1})
    response = client.get("/info")
    assert response.json() == [{"count": 1}, {"count": 2}]
    assert cookies_set(response) == {}


async def read(session: Session) -> None:
    await session.get_session_info()


async def write(session: Session) -> None:
    await session.update_session_info(1)


async def change_info(session: Session) -> None:
    await session.change_session_info(lambda info: [info])


async def change(session: Session) -> None:
    await session.update_jwt_payload(1)


async def check(session: Session) -> None:
    await session.check()


@pytest.mark.parametrize(
    "operation", [read, write, change_info, change, check], ids=lambda operation: operation.__name__
)
def test_an_operation_that_finds_the_session_gone_clears_the_cookies(
    operation: Any, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check="none")

    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        await operation(session)
        await sessions.revoke_all_sessions_for_user("alice")
        with pytest.raises(Unauthorised):
            await operation(session)
        return JSONResponse({})

    client = client_with(open_client, sessions, Route("/gone", endpoint))
    assert cookies_set(client.get("/gone")) == CLEARED


def test_the_manager_by_handle_touches_no_cookie_when_the_session_is_gone(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        await sessions.revoke_all_sessions_for_user("alice")
        with pytest.raises(Unauthorised):
            await sessions.get_session_info(session.session_handle)
        with pytest.raises(Unauthorised):
            await sessions.update_session_info(session.session_handle, 1)
        with pytest.raises(Unauthorised):
            await sessions.change_session_info(session.session_handle, lambda info: [info])
        return JSONResponse({})

    client = client_with(open_client, sessions, Route("/gone", endpoint))
    assert cookies_set(client.get("/gone")) == {}


def test_revoking_others_keeps_this_one(open_client: OpenClient, sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(await (await get_session(request)).revoke_other_sessions())

    client = client_with(open_client, sessions, Route("/others", endpoint))
    assert client.portal is not None
    for user in ("alice", "alice", "bob"):
        client.portal.call(sessions.create_new_session_without_request, user)
    response = client.get("/others")
    assert response.json() == 2
    assert cookies_set(response) == {}
    assert client.get("/me").status_code == 200


async def a_session(sessions: SessionManager) -> Session[str, Any]:
    return (await sessions.create_new_session_without_request("alice", jwt_payload={"card": "4111"})).session


async def test_a_session_cannot_be_pickled_or_copied(sessions: SessionManager) -> None:
    async with sessions:
        session = await a_session(sessions)
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="session_handle"):
            action(session)


async def test_the_repr_names_handle_and_user_and_no_more(sessions: SessionManager) -> None:
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice", jwt_payload={"card": "4111"})
    assert repr(issued.session) == f"<Session {issued.session.session_handle} of user 'alice'>"
    for secret in (issued.access_token.value, issued.refresh_token.value, "4111"):
        assert secret not in repr(issued)


async def test_times_are_aware(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        session = await a_session(sessions)
    assert session.auth_time.timestamp() * 1000 == clock()
    assert (session.expires_at - session.auth_time).days == 100


def fastapi_app(sessions: SessionManager) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, manager=sessions)

    @app.post("/login")
    async def login(request: Request) -> None:
        await sessions.create_new_session(request, "alice")

    return app


def test_a_session_returned_from_a_route_is_a_clear_error(open_client: OpenClient, sessions: SessionManager) -> None:
    app = fastapi_app(sessions)

    @app.get("/session")
    async def returned(session: CurrentSession):  # type: ignore[no-untyped-def]  # as the mistake is made
        return session

    client = open_client(app)
    client.post("/login")
    with pytest.raises((TypeError, ValueError), match=re.escape('return what the client may see, e.g. {"user"')):
        client.get("/session")


def test_a_session_within_what_a_route_returns_is_an_error_that_names_it(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    app = fastapi_app(sessions)

    @app.get("/session")
    async def returned(session: CurrentSession) -> dict[str, Any]:
        return {"session": session}

    client = open_client(app)
    client.post("/login")
    with pytest.raises((TypeError, ValueError), match=r"session\.Session"):
        client.get("/session")


def test_a_session_as_the_type_that_a_route_returns_is_a_clear_error() -> None:
    app = FastAPI()
    with pytest.raises(TypeError, match="return what the client may see"):

        @app.get("/session")
        async def returned(session: CurrentSession) -> Session:
            return session


def test_a_session_as_a_parameter_without_depends_is_a_clear_error() -> None:
    app = FastAPI()
    with pytest.raises(TypeError, match=re.escape("`session: CurrentSession`")):

        @app.get("/session")
        async def asked(session: Session) -> None: ...


def test_the_documented_spellings_of_the_dependency_mean_the_same(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    app = fastapi_app(sessions)

    @app.get("/annotated")
    async def annotated(session: CurrentSession) -> str:
        return str(session.user_id)

    @app.get("/default")
    async def default(session: Session = Depends(get_session)) -> str:  # noqa: B008 - FastAPI's older way
        return str(session.user_id)

    @app.get("/typed")
    async def typed(session: Annotated[Session[str, dict[str, Any]], Depends(get_session)]) -> str:
        return session.user_id

    client = open_client(app)
    client.post("/login")
    assert [client.get(path).json() for path in ("/annotated", "/default", "/typed")] == ["alice"] * 3


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_a_login_names_the_devices_that_it_has_logged_out(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, max_sessions_per_user=1)

    async def login(request: Request) -> Response:
        session = await sessions.create_new_session(request, "alice")
        ended = [record.device_label for record in session.evicted_sessions]
        asked_again = await get_session(request)
        return JSONResponse([ended, len(asked_again.evicted_sessions)])

    client = open_client(application(sessions, Route("/log-in", login, methods=["POST"])))
    assert client.post("/log-in", headers={"user-agent": FIREFOX}).json() == [[], 0]
    client.cookies.clear()  # another device
    clock.advance(1)
    assert client.post("/log-in").json() == [["Firefox on Windows"], 1]
    clock.advance(1)
    assert client.post("/log-in").json() == [[], 0], "the same device: its session was replaced"
