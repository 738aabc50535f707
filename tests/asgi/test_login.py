"""Logging in: a new session each time, the old one ended, and the jar left without leftovers."""

import time
import uuid
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_sessions import SessionManager
from tests.asgi.apps import ACCESS, CLEARED, LIFETIME, REFRESH, Jar, application, cookies_set, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


def test_two_logins_share_nothing(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    one, two = (client.post("/login", headers={"cookie": "none=1"}) for _ in range(2))
    assert one.json()["handle"] != two.json()["handle"]
    assert not cookies_set(one).items() & cookies_set(two).items()


def test_a_login_ends_the_session_that_the_jar_held(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    old = Jar().take(client.post("/login?user=alice"))
    client.post("/login?user=bob")
    assert client.get("/me").json()["user"] == "bob"
    assert client.get("/me", headers=old.header).status_code == 401


@pytest.mark.parametrize("kept", [ACCESS, REFRESH])
def test_an_expired_token_still_names_the_session_that_a_login_ends(
    kept: str, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions))
    old = Jar().take(client.post("/login"))
    client.cookies.clear()
    clock.advance(LIFETIME)
    client.post("/login?user=bob", headers=Jar({kept: old.cookies[kept]}).header)
    assert client.get("/me", headers=old.header).status_code == 401


@pytest.mark.parametrize(("later", "cleared"), [(0, False), (110, False), (130, True)])
def test_the_cookies_of_a_session_that_a_login_has_just_replaced_are_not_cleared(
    later: float, cleared: bool, open_client: OpenClient
) -> None:
    # A request that was under way during the login would otherwise log the new session out.
    clock = MovableClock(time.time_ns() // 1_000_000)  # revoked_at is the database's clock, which cannot be moved
    client = open_client(application(new_manager(clock)))
    old = Jar().take(client.post("/login?user=alice"))
    client.post("/login?user=bob")
    clock.advance(later)
    response = client.get("/me", headers=old.header)
    assert response.status_code == 401
    assert cookies_set(response) == (CLEARED if cleared else {})


def test_a_login_refused_for_its_payload_leaves_the_old_session_alone(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions), raise_server_exceptions=False)
    client.post("/login")
    assert client.post("/login", json={"user_id": "bob", "jwt_payload": "x" * 5000}).status_code == 500
    assert client.post("/login", json={"user_id": 1.5}).status_code == 500
    assert client.get("/me").json()["user"] == "alice"


def test_two_logins_in_one_request_leave_one_session(open_client: OpenClient, sessions: SessionManager) -> None:
    async def twice(request: Request) -> Response:
        await sessions.create_new_session(request, "alice")
        await sessions.create_new_session(request, "alice")
        return JSONResponse(len(await sessions.get_all_session_handles_for_user("alice")))

    response = open_client(application(sessions, Route("/twice", twice))).get("/twice")
    assert response.json() == 1
    assert cookies_set(response).keys() == {ACCESS, REFRESH}


def test_logout_and_login_in_one_request_is_a_login(open_client: OpenClient, sessions: SessionManager) -> None:
    async def switch(request: Request) -> Response:
        await (await sessions.get_session(request)).revoke_session()
        await sessions.create_new_session(request, "bob")
        return JSONResponse((await sessions.get_session(request)).user_id)

    client = open_client(application(sessions, Route("/switch", switch)))
    client.post("/login")
    response = client.get("/switch")
    assert response.json() == "bob"
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert client.get("/me").json()["user"] == "bob"


def test_login_and_logout_in_one_request_leaves_nothing(open_client: OpenClient, sessions: SessionManager) -> None:
    async def inside_out(request: Request) -> Response:
        session = await sessions.create_new_session(request, "alice")
        await session.revoke_session()
        return JSONResponse({})

    client = open_client(application(sessions, Route("/inside-out", inside_out)))
    assert cookies_set(client.get("/inside-out")) == {}


USER = uuid.UUID("2f4bfa8e-60a6-4e0b-9f5f-36fb7ab3d1f5")


@pytest.mark.parametrize("user_id", ["1", 1, -(2**70), USER, str(USER), '{"a":1,"i":2}', "", "日本 \U0001f600"])
def test_a_user_id_comes_back_as_given_after_login_verification_and_refresh(
    user_id: Any, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    seen: list[Any] = []

    async def enter(request: Request) -> Response:
        seen.append((await sessions.create_new_session(request, user_id)).user_id)
        return JSONResponse({})

    async def look(request: Request) -> Response:
        seen.append((await sessions.get_session(request)).user_id)
        return JSONResponse({})

    client = open_client(application(sessions, Route("/enter", enter), Route("/look", look)))
    client.get("/enter")
    client.get("/look")
    clock.advance(LIFETIME)
    client.get("/look")
    assert [(type(found), found) for found in seen] == [(type(user_id), user_id)] * 3


@pytest.mark.parametrize("payload", [None, True, 0, 1.5, "", "text", [], {}, {"a": [1, {"b": None}], "é": "😀"}])
def test_a_payload_comes_back_exactly(payload: Any, open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    client.post("/login", json={"user_id": "alice", "jwt_payload": payload})
    assert client.get("/me").json()["payload"] == payload


OLDER = {"cookie_domain": "shop.example", "older_cookie_domains": ["example", "host-only"]}


def domains_cleared(response: Any) -> set[str]:
    headers = [header for header in response.headers.get_list("set-cookie") if "Max-Age=0" in header]
    return {header.partition("Domain=")[2].partition(";")[0] for header in headers}


def test_login_clears_what_older_domains_have_left(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, **OLDER)))
    response = client.post("/login", headers={"cookie": f"{ACCESS}=old; __Secure-sAccessToken=older"})
    assert domains_cleared(response) == {"example", ""}


def test_logout_clears_the_older_domains_too(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, **OLDER)))
    response = client.post("/login")
    texts = [text.partition(";")[0] for text in response.headers.get_list("set-cookie")]
    header = "; ".join([*texts, f"{ACCESS}=old"])
    assert domains_cleared(client.post("/logout", headers={"cookie": header})) == {"example", "", "shop.example"}


def test_two_sessions_in_one_jar_clear_the_older_domains_and_nothing_else(
    open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(application(new_manager(clock, **OLDER)))
    name = "__Secure-sAccessToken"
    answers = [client.post("/login", headers={"cookie": "none=1"}).headers.get_list("set-cookie") for _ in range(2)]
    set_ones = [cookie.partition(";")[0] for answer in answers for cookie in answer if "Max-Age=0" not in cookie]
    texts = [text for text in set_ones if text.startswith(name)]
    assert len(texts) == 2
    response = client.get("/me", headers={"cookie": "; ".join(texts)})
    assert response.status_code == 401
    assert domains_cleared(response) == {"example"}  # of the host alone is __Host-, which did not come


def test_without_older_domains_two_sessions_in_one_jar_are_a_401_with_nothing_cleared(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions))
    values = [cookies_set(client.post("/login", headers={"cookie": "none=1"}))[ACCESS] for _ in range(2)]
    response = client.get("/me", headers={"cookie": "; ".join(f"{ACCESS}={value}" for value in values)})
    assert response.status_code == 401
    assert cookies_set(response) == {}


@pytest.mark.parametrize("action", ["evict_oldest", "reject"])
def test_the_limit_of_sessions_holds(action: str, open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, max_sessions_per_user=2, max_sessions_action=action)
    client = open_client(application(sessions))
    jars, answers = [], []
    for _ in range(3):
        answers.append(client.post("/login", headers={"cookie": "none=1"}))
        jars.append(Jar().take(answers[-1]))
    client.cookies.clear()
    alive = [client.get("/me", headers=jar.header).status_code == 200 for jar in jars]
    if action == "evict_oldest":
        assert alive == [False, True, True]
    else:
        assert alive == [True, True, False]
        assert (answers[2].status_code, answers[2].json()["code"]) == (403, "session_limit_reached")
        assert cookies_set(answers[2]) == {}


@pytest.mark.parametrize("action", ["evict_oldest", "reject"])
def test_a_login_that_replaces_a_session_needs_no_more_room(
    action: str, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, max_sessions_per_user=2, max_sessions_action=action)
    client = open_client(application(sessions))
    other = Jar().take(client.post("/login", headers={"cookie": "none=1"}))
    client.cookies.clear()
    assert [client.post("/login").status_code for _ in range(3)] == [200] * 3
    assert client.get("/me", headers=other.header).status_code == 200


def test_a_login_that_is_refused_for_the_limit_keeps_the_session_that_it_would_have_replaced(
    open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, max_sessions_per_user=1, max_sessions_action="reject")
    client = open_client(application(sessions))
    client.post("/login?user=bob", headers={"cookie": "none=1"})
    client.cookies.clear()
    client.post("/login?user=alice")
    assert client.post("/login?user=bob").status_code == 403
    assert client.get("/me").json()["user"] == "alice"
