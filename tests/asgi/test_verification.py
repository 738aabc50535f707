"""One verification for all calls on a connection; and every call looks again whether the session stands."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import (
    CsrfRejected,
    SessionManager,
    Unauthorised,
    get_optional_session,
    get_session,
    require_session,
)
from asgi_sessions.manager.refreshing import Refresher
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    CLEARED,
    LIFETIME,
    REFRESH,
    Jar,
    application,
    cookies_set,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


@pytest.fixture
def refreshes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The handles of every refresh that was decided."""
    seen: list[str] = []
    refresh = Refresher.refresh

    async def counted(self: Refresher, token: object, **options: object) -> object:
        seen.append(token.handle)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return await refresh(self, token, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Refresher, "refresh", counted)
    return seen


async def gathered(request: Request) -> Response:
    found = await asyncio.gather(*(get_session(request) for _ in range(5)), get_optional_session(request))
    return JSONResponse({"same": len({id(session) for session in found})})


async def impatient(request: Request) -> Response:
    first = asyncio.ensure_future(get_session(request))
    others = [asyncio.ensure_future(get_session(request)) for _ in range(3)]
    await asyncio.sleep(0)  # the first holds the lock, the others wait for it
    first.cancel()
    found = await asyncio.gather(*others)
    assert first.cancelled()
    return JSONResponse({"users": [session.user_id for session in found]})


def test_calls_on_one_connection_share_one_session(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, refreshes: list[str]
) -> None:
    client = open_client(application(sessions, Route("/gathered", gathered)))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.get("/gathered")
    assert response.json() == {"same": 1}
    assert len(refreshes) == 1
    assert cookies_set(response).keys() == {ACCESS, REFRESH}


def test_where_the_first_caller_is_cancelled_the_others_go_on(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, refreshes: list[str]
) -> None:
    client = open_client(application(sessions, Route("/impatient", impatient)))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.get("/impatient")
    assert response.json() == {"users": ["alice"] * 3}
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert client.get("/me").status_code == 200


@pytest.mark.parametrize("remembered", [True, False])
def test_a_token_is_verified_once_per_worker_or_connection(
    open_client: OpenClient, clock: MovableClock, verified: list[object], remembered: bool
) -> None:
    sessions = new_manager(clock) if remembered else new_manager(clock, verified_token_memory=0)
    client = open_client(application(sessions, Route("/gathered", gathered)))
    client.post("/login")
    for _ in range(3):
        assert client.get("/gathered").json() == {"same": 1}
    assert len(verified) == (1 if remembered else 3)


def after_get_session(
    then: Callable[[Request], object], *, first: Callable[[Request], object] = get_session
) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        await first(request)  # type: ignore[misc]
        try:
            await then(request)  # type: ignore[misc]
        except (CsrfRejected, Unauthorised) as error:
            return JSONResponse({"code": error.code})
        return JSONResponse({"code": None})

    return endpoint


@pytest.mark.parametrize("expired", [False, True], ids=["in time", "refreshed by the first call"])
def test_a_stronger_csrf_demand_is_checked_again(
    expired: bool, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, Route("/again", after_get_session(require_session(csrf=True)))))
    client.post("/login")
    if expired:
        clock.advance(LIFETIME)
    response = client.get(
        "/again",
        headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    )
    assert response.json() == {"code": "csrf_rejected"}


@pytest.mark.parametrize("expired", [False, True], ids=["in time", "refreshed by the first call"])
def test_a_stronger_demand_on_the_database_is_checked_again(
    expired: bool, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check="none")

    async def revoking(request: Request) -> None:
        await get_session(request)
        await sessions.revoke_all_sessions_for_user("alice")

    client = open_client(
        application(
            sessions,
            Route("/again", after_get_session(require_session(check_database=True), first=revoking)),
            Route("/same", after_get_session(get_session, first=revoking)),
        )
    )
    client.post("/login")
    if expired:
        clock.advance(LIFETIME)
    response = client.get("/again")
    assert response.json() == {"code": "unauthorised"}
    assert cookies_set(response) == CLEARED
    client.post("/login")
    assert client.get("/same").json() == {"code": None}


@pytest.mark.parametrize("expired", [False, True], ids=["in time", "refreshed by the first call"])
def test_a_repeated_call_sees_a_revocation(
    expired: bool, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    async def revoking(request: Request) -> None:
        await get_session(request)
        await sessions.revoke_all_sessions_for_user("alice")

    client = open_client(application(sessions, Route("/again", after_get_session(get_session, first=revoking))))
    client.post("/login")
    if expired:
        clock.advance(LIFETIME)
    response = client.get("/again")
    assert response.json() == {"code": "unauthorised"}
    assert cookies_set(response) == CLEARED


@pytest.mark.parametrize("revocation_check", ["database", "none"])
@pytest.mark.parametrize("revoked", [False, True])
def test_a_repeated_call_after_the_token_has_expired_asks_the_database(
    revoked: bool, revocation_check: str, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check=revocation_check)

    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        clock.advance(LIFETIME)
        if revoked:
            await sessions.revoke_session_using_session_handle(session.session_handle)
        await get_session(request)
        return JSONResponse({"user": session.user_id})

    client = open_client(application(sessions, Route("/again", endpoint)))
    client.post("/login")
    response = client.get("/again")
    assert response.status_code == (401 if revoked else 200)
    assert cookies_set(response) == (CLEARED if revoked else {})


@pytest.mark.parametrize("revocation_check", ["database", "none"])
@pytest.mark.parametrize("revoked", [False, True])
def test_a_slow_upload_that_came_in_time_is_looked_up_and_not_refreshed(
    revoked: bool, revocation_check: str, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check=revocation_check)

    async def upload(request: Request) -> Response:
        clock.advance(3 * LIFETIME)  # frameworks read the body before they ask who sends it
        if revoked:
            await sessions.revoke_all_sessions_for_user("alice")
        return JSONResponse({"user": (await get_session(request)).user_id})

    client = open_client(application(sessions, Route("/upload", upload, methods=["POST"])))
    client.post("/login")
    response = client.post("/upload")
    assert response.status_code == (401 if revoked else 200)
    assert cookies_set(response) == (CLEARED if revoked else {})


def test_a_login_is_the_session_of_its_own_request(open_client: OpenClient, sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Response:
        created = await sessions.create_new_session(request, "bob")
        return JSONResponse({"same": await get_session(request) is created})

    client = open_client(application(sessions, Route("/login-and-look", endpoint)))
    client.post("/login")
    assert client.get("/login-and-look").json() == {"same": True}


def socket_of(answers: list[str]) -> Callable[[WebSocket], object]:
    async def socket(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.accept()
        while await websocket.receive_text() == "again":
            try:
                answers.append((await get_session(websocket)).user_id)
            except Unauthorised:
                answers.append("gone")
            await websocket.send_text("")
        await websocket.close()

    return socket


@pytest.mark.parametrize("revocation_check", ["feed", "database", "none"])
def test_an_open_websocket_outlives_its_access_token_but_not_its_session(
    revocation_check: str, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check=revocation_check)
    answers: list[str] = []
    client = open_client(application(sessions, WebSocketRoute("/socket", socket_of(answers))))
    client.post("/login")
    with client.websocket_connect("wss://testserver/socket") as websocket:

        def ask() -> None:
            websocket.send_text("again")
            websocket.receive_text()

        ask()
        clock.advance(LIFETIME)
        ask()
        client.portal.call(sessions.revoke_all_sessions_for_user, "alice")  # type: ignore[union-attr]
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
        assert closed.value.code == 4401
    assert answers == ["alice", "alice"]


def test_an_open_websocket_sees_the_end_of_the_session(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, idle_timeout="12h")
    answers: list[str] = []
    client = open_client(application(sessions, WebSocketRoute("/socket", socket_of(answers))))
    client.post("/login")
    with client.websocket_connect("wss://testserver/socket") as websocket:
        clock.advance(days=0.5)
        websocket.send_text("again")
        websocket.receive_text()
        websocket.send_text("enough")
    assert answers == ["gone"]


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [(None, True), (BASE_URL, True), ("https://evil.example", False), ("null", False), ("http://testserver", False)],
)
def test_a_websocket_is_checked_against_its_origin_before_it_is_accepted(
    origin: str | None, accepted: bool, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, WebSocketRoute("/socket", socket_of([]))))
    client.post("/login")
    headers = {"origin": origin} if origin else {}
    if accepted:
        with client.websocket_connect("wss://testserver/socket", headers=headers) as websocket:
            websocket.send_text("enough")
    else:
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("wss://testserver/socket", headers=headers),
        ):
            pass
        assert denied.value.json()["code"] == "csrf_rejected"
        assert cookies_set(denied.value) == {}


async def test_requests_on_two_connections_share_nothing(sessions: SessionManager) -> None:
    async def poison(request: Request) -> Response:
        payload = (await get_session(request)).jwt_payload
        payload["role"] = "admin"
        return JSONResponse(payload)

    app = application(sessions, Route("/poison", poison))
    async with sessions, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE_URL) as client:
        jar = Jar().take(await client.post("/login", json={"user_id": 1, "jwt_payload": {"role": "user"}}))
        assert (await client.get("/poison", headers=jar.header)).json() == {"role": "admin"}
        assert (await client.get("/me", headers=jar.header)).json()["payload"] == {"role": "user"}
