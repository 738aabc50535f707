"""An administrator logs in as a user, and what routes make of it."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionMiddleware, get_session, require_session, session_routes
from asgi_sessions.fastapi import session_router
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.testing import second_client
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    CLEARED,
    LIFETIME,
    REFRESH,
    Jar,
    application,
    cookies_set,
    manager_of,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


async def act_as(request: Request) -> Response:
    given = await request.json()
    actor = await get_session(request)
    session = await manager_of(request).impersonate(request, given.pop("user_id"), actor=actor, **given)
    return JSONResponse({"handle": session.session_handle, "until": session.expires_at.isoformat()})


async def promote(request: Request) -> Response:
    await (await get_session(request)).update_jwt_payload({"role": "admin"})
    return JSONResponse({})


async def renew(request: Request) -> Response:
    """All tokens anew, as after a step-up."""
    session = await get_session(request)
    if "end_first" in request.query_params:
        await session.revoke_session()
    await manager_of(request).create_new_session(request, session.user_id, authentication_methods=("pwd", "otp"))
    return JSONResponse({})


def guarded(path: str, **requirements: Any) -> Route:
    dependency = require_session(**requirements)

    async def endpoint(request: Request) -> Response:
        session = await dependency(request)
        return JSONResponse([session.user_id, session.actor])

    return Route(path, endpoint, methods=["GET", "POST"])


@pytest.fixture
def client(open_client: OpenClient, sessions: SessionManager) -> TestClient:
    return open_client(
        application(
            sessions,
            Route("/act-as", act_as, methods=["POST"]),
            Route("/promote", promote, methods=["POST"]),
            Route("/renew", renew, methods=["POST"]),
            Mount("/auth", routes=session_routes()),
            guarded("/any"),
            guarded("/user-alone", allow_actor=False),
            guarded("/recent", max_auth_age=60),
            guarded("/recent-either", max_auth_age=60, allow_actor=True),
            guarded("/otp", methods={"otp"}),
            guarded("/otp-either", methods={"otp"}, allow_actor=True),
            guarded("/two", level=2),
        )
    )


def acting(client: TestClient, **more: Any) -> dict[str, str]:
    client.post("/login", json={"user_id": "admin", "authentication_methods": ["pwd"]})
    answer: dict[str, str] = client.post("/act-as", json={"user_id": "alice", **more}).json()
    return answer


def refused(response: Any) -> bool:
    return (response.status_code, response.json().get("code")) == (403, "impersonation_refused")


def test_the_browser_holds_the_users_session_and_the_administrators_has_ended(
    client: TestClient, clock: MovableClock
) -> None:
    client.post("/login", json={"user_id": "admin"})
    before = {"cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)}
    answer = client.post("/act-as", json={"user_id": "alice"})
    assert set(cookies_set(answer)) == set(CLEARED)
    assert client.get("/any").json() == ["alice", "admin"]
    clock.advance(LIFETIME)
    assert client.get("/any").json() == ["alice", "admin"]  # after a refresh too
    other = second_client(client)
    assert other.get("/any", headers=before).status_code == 401


def test_it_is_told_to_the_actor_and_on_the_users_devices(client: TestClient) -> None:
    phone = second_client(client)
    phone.post("/login", json={"user_id": "alice"})
    handle = acting(client)["handle"]
    assert client.get("/auth/session").json()["actor"] == "admin"
    assert phone.get("/auth/session").json()["actor"] is None
    devices = {device["session_handle"]: device["actor"] for device in phone.get("/auth/sessions").json()}
    assert sorted(devices.values(), key=str) == [None, "admin"]
    assert devices[handle] == "admin"
    assert phone.delete(f"/auth/sessions/{handle}").status_code == 204
    assert client.get("/any").status_code == 401


@pytest.mark.parametrize("fastapi", [False, True])
def test_the_address_of_whoever_acts_is_shown_to_that_one_alone(
    fastapi: bool, open_client: OpenClient, sessions: SessionManager
) -> None:
    router = FastAPI()
    router.include_router(session_router())
    auth = Mount("/auth", app=router) if fastapi else Mount("/auth", routes=session_routes())
    client = open_client(application(sessions, Route("/act-as", act_as, methods=["POST"]), auth))
    users = {name: second_client(client) for name in ("alice", "admin", "helper")}
    for name, browser in users.items():
        browser.post("/login", json={"user_id": name})
        if name != "alice":
            browser.post("/act-as", json={"user_id": "alice"})

    def shown_to(name: str) -> dict[str | None, str | None]:
        return {row["actor"]: row["ip_address"] for row in users[name].get("/auth/sessions").json()}

    address = "testclient"
    assert shown_to("alice") == {None: address, "admin": None, "helper": None}
    assert shown_to("admin") == {None: address, "admin": address, "helper": None}
    assert shown_to("helper") == {None: address, "admin": None, "helper": address}


@pytest.mark.parametrize(
    ("given", "lasts"), [({}, 3600), ({"lifetime": 60}, 60), ({"lifetime": 0.5}, 0.5), ({"lifetime": 7200}, 3600)]
)
def test_it_lasts_as_long_as_asked_and_never_longer_than_the_setting(
    given: dict[str, float], lasts: float, client: TestClient, clock: MovableClock
) -> None:
    assert acting(client, **given)["until"] == from_ms(clock() + round(lasts * 1000)).isoformat()
    while lasts > 0:
        assert client.get("/any").status_code == 200
        step = min(lasts, 280.0)
        clock.advance(step)
        lasts -= step
    assert client.get("/any").status_code == 401


def test_the_setting_is_the_bound(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, impersonation_lifetime="5m")
    client = open_client(application(sessions, Route("/act-as", act_as, methods=["POST"])))
    assert acting(client, lifetime=3600)["until"] == from_ms(clock() + 300_000).isoformat()


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/promote"), ("POST", "/auth/sessions/revoke-others"), ("POST", "/act-as")],
)
def test_what_is_for_the_user_alone_is_refused(method: str, path: str, client: TestClient) -> None:
    acting(client)
    response = client.request(method, path, json={"user_id": "bob"})
    assert refused(response)
    assert cookies_set(response) == {}
    assert client.get("/any").json() == ["alice", "admin"]


def test_it_ends_no_other_device_and_may_end_itself(client: TestClient) -> None:
    phone = second_client(client)
    own = phone.post("/login", json={"user_id": "alice"}).json()["handle"]
    handle = acting(client)["handle"]
    assert refused(client.delete(f"/auth/sessions/{own}"))
    assert phone.get("/any").status_code == 200
    assert client.delete(f"/auth/sessions/{handle}").status_code == 204
    assert client.get("/any").status_code == 401


@pytest.mark.parametrize("path", ["/renew", "/login?user=alice"])
@pytest.mark.parametrize("lost", [None, ACCESS, REFRESH])
def test_nobody_becomes_the_user_by_a_new_session(
    path: str, lost: str | None, client: TestClient, sessions: SessionManager
) -> None:
    handle = acting(client)["handle"]
    cookies = Jar(dict(client.cookies)).without(*filter(None, [lost])).header
    response = second_client(client).post(path, headers=cookies)
    assert refused(response)
    assert set(cookies_set(response).values()).isdisjoint({""})
    assert [device["session_handle"] for device in client.get("/auth/sessions").json()] == [handle]
    assert client.get("/any").json() == ["alice", "admin"]


def test_nor_by_ending_the_own_one_first(client: TestClient) -> None:
    acting(client)
    assert refused(client.post("/renew?end_first"))
    assert client.get("/any").status_code == 401


def test_nor_with_the_tokens_of_a_native_client(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, token_transport="any")
    app = open_client(
        application(sessions, Route("/act-as", act_as, methods=["POST"]), Route("/renew", renew, methods=["POST"]))
    )
    as_header = {"st-auth-mode": "header"}

    def bearer(answer: Any) -> dict[str, str]:
        return {**as_header, "authorization": f"Bearer {answer.headers['st-access-token']}"}

    admin = bearer(app.post("/login?user=admin", headers=as_header))
    acts = bearer(app.post("/act-as", json={"user_id": "alice"}, headers=admin))
    assert refused(app.post("/renew", headers=acts))


def test_whoever_acts_may_log_in_as_somebody_else_and_as_the_user_once_it_is_over(
    client: TestClient, clock: MovableClock
) -> None:
    acting(client)
    leftover = Jar(dict(client.cookies)).header
    assert client.post("/login?user=admin").status_code == 200
    assert client.get("/any").json() == ["admin", None]
    other = second_client(client)
    assert other.post("/login?user=alice", headers=leftover).status_code == 200
    assert other.get("/any").json() == ["alice", None]
    acting(client)
    clock.advance(3601)  # its cookies are still there
    assert client.post("/login?user=alice").status_code == 200
    assert client.post("/renew").status_code == 200
    assert client.get("/any").json() == ["alice", None]


def test_routes_that_ask_for_the_users_authentication_refuse_whoever_acts(client: TestClient) -> None:
    acting(client)
    for path in ("/user-alone", "/recent", "/otp", "/two"):
        assert refused(client.get(path)), path
    client.post("/logout")
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd", "otp"]})
    for path in ("/any", "/user-alone", "/recent", "/otp", "/two"):
        assert client.get(path).json() == ["alice", None], path


def test_routes_that_allow_it_go_by_the_actors_own_authentication(client: TestClient, clock: MovableClock) -> None:
    client.post("/login", json={"user_id": "admin", "authentication_methods": ["pwd"]})
    clock.advance(50)
    client.post("/act-as", json={"user_id": "alice"})
    assert client.get("/recent-either").json() == ["alice", "admin"]
    clock.advance(11)  # to begin is no authentication
    assert client.get("/recent-either").json()["code"] == "reauthentication_required"
    assert client.get("/otp-either").json()["code"] == "reauthentication_required"
    client.post("/login", json={"user_id": "admin", "authentication_methods": ["pwd", "otp"]})
    client.post("/act-as", json={"user_id": "alice"})
    assert client.get("/otp-either").json() == ["alice", "admin"]


def test_another_sites_page_cannot_begin_it(client: TestClient) -> None:
    client.post("/login", json={"user_id": "admin"})
    response = client.post("/act-as", json={"user_id": "alice"}, headers={"sec-fetch-site": "cross-site"})
    assert response.json()["code"] == "csrf_rejected"
    assert client.get("/any").json() == ["admin", None]


def test_with_a_manager_of_their_own_administrators_keep_their_session(
    open_client: OpenClient, clock: MovableClock
) -> None:
    users = new_manager(clock)
    staff = new_manager(clock, table_prefix="staff_", cookie_prefix="__Host-staff_")

    async def staff_login(request: Request) -> Response:
        await staff.create_new_session(request, 7)
        return JSONResponse({})

    async def support(request: Request) -> Response:
        await users.impersonate(request, "alice", actor=await staff.get_session(request))
        return JSONResponse({})

    async def who(request: Request) -> Response:
        session, own = await users.get_session(request), await staff.get_session(request)
        return JSONResponse([session.user_id, session.actor, own.user_id])

    app = application(
        users,
        Route("/staff-login", staff_login, methods=["POST"]),
        Route("/support", support, methods=["POST"]),
        Route("/who", who),
    )
    app.add_middleware(SessionMiddleware, manager=staff)
    client = open_client(app, base_url=BASE_URL)
    client.post("/staff-login")
    client.post("/support")
    assert client.get("/who").json() == ["alice", 7, 7]
    client.post("/logout")
    assert ACCESS not in client.cookies
    assert client.get("/who").status_code == 401


@pytest.mark.parametrize("own", [True, False], ids=["their own manager", "one manager"])
def test_administrators_who_are_logged_out_meanwhile_are_answered_so(
    own: bool, open_client: OpenClient, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = new_manager(clock)
    staff = new_manager(clock, table_prefix="staff_", cookie_prefix="__Host-staff_") if own else users
    insert = SessionRepository.insert

    async def meanwhile(*arguments: Any) -> None:
        await insert(*arguments)
        await staff.revoke_all_sessions_for_user(7)

    async def staff_login(request: Request) -> Response:
        await staff.create_new_session(request, 7)
        return JSONResponse({})

    async def support(request: Request) -> Response:
        actor = await staff.get_session(request)
        monkeypatch.setattr(SessionRepository, "insert", meanwhile)
        await users.impersonate(request, "alice", actor=actor)
        return JSONResponse({})

    app = application(
        users, Route("/staff-login", staff_login, methods=["POST"]), Route("/support", support, methods=["POST"])
    )
    if own:
        app.add_middleware(SessionMiddleware, manager=staff)
    client = open_client(app)
    client.post("/staff-login")
    answer = client.post("/support")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert not any(cookies_set(answer).values())
    assert client.get("/me").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [("POST", "/auth/signout", "logout"), ("POST", "/logout", "logout"), ("POST", "/login?user=bob", "replaced")],
)
@pytest.mark.parametrize("lost", [None, ACCESS])
def test_the_audit_log_tells_who_has_ended_it(
    lost: str | None, method: str, path: str, reason: str, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    handle = acting(client)["handle"]
    cookies = Jar(dict(client.cookies)).without(*filter(None, [lost])).header
    with caplog.at_level("INFO", "asgi_sessions.audit"):
        second_client(client).request(method, path, headers=cookies)
    (told,) = [vars(record) for record in caplog.records if vars(record).get("event") == "session.revoked"]
    assert (told["session_handle"], told["reason"]) == (handle, reason)
    assert told.get("actor") == (None if lost and reason == "replaced" else "admin")


def test_a_session_that_has_ended_ends_no_other_device(
    client: TestClient, sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = client.post("/login?user=alice").json()["handle"]
    phone = second_client(client)
    other = phone.post("/login?user=alice").json()["handle"]
    live_row = LivenessCheck.live_row

    async def ends_first(self: LivenessCheck, *arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(LivenessCheck, "live_row", live_row)
        await sessions.revoke_session_using_session_handle(handle)
        return await live_row(self, *arguments, **options)

    monkeypatch.setattr(LivenessCheck, "live_row", ends_first)
    answer = client.delete(f"/auth/sessions/{other}")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert phone.get("/me").status_code == 200
