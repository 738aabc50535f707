"""What a worker remembers of tokens saves it a signature, and no other check."""

import secrets
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.errors import TryRefreshToken
from asgi_sessions.protocol.key_id import new_key_id
from asgi_sessions.protocol.keyring import Keyring, SigningKey, generate
from asgi_sessions.revocation.handle_set import HANDLE_BYTES
from tests.asgi.apps import ACCESS, CLEARED, LIFETIME, REFRESH, application, cookies_set, new_manager
from tests.asgi.conftest import OpenClient
from tests.asgi.connections import login_cookie, scope_of
from tests.clocks import MovableClock
from tests.security.forging import claims, head, written
from tests.security.statements import counted

CHECKS = ["feed", "none"]


@pytest.fixture(params=CHECKS)
def sessions(clock: MovableClock, request: pytest.FixtureRequest) -> SessionManager:
    return new_manager(clock, revocation_check=request.param)


def remembered(sessions: SessionManager) -> int:
    memory = sessions.lifecycle.verifier.tokens
    return len(memory.keys() | memory._old.keys())


def test_its_expiry_counts(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, verified: list[object]
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    clock.advance(LIFETIME - 2)
    for _ in range(2):
        assert cookies_set(client.get("/me")) == {}
    assert len(verified) == 1
    clock.advance(2)
    assert cookies_set(client.get("/me")).keys() == {ACCESS, REFRESH}


def test_its_revocation_counts(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, verified: list[object]
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    handle = client.get("/me").json()["handle"]
    assert client.portal is not None
    assert client.portal.call(sessions.revoke_session_using_session_handle, handle) is True
    answer = client.get("/me")
    if sessions.settings.revocation_check == "feed":
        assert answer.status_code == 401
        assert cookies_set(answer) == CLEARED
    else:
        assert answer.status_code == 200
        clock.advance(LIFETIME)
        assert client.get("/me").status_code == 401
    assert len(verified) == 1


def test_it_is_forgotten_when_the_keys_change(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, verified: list[object]
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    client.get("/me")
    assert client.portal is not None
    keys = client.portal.call(keys_of, sessions)
    old = keys.keyring.keys
    keys.keyring = Keyring([*old, successor(signs_from=clock())])
    for _ in range(2):
        assert cookies_set(client.get("/me")) == {}
    assert len(verified) == 2, "once for each set of keys"
    keys.keyring = Keyring([*old, successor(signs_from=clock() - round(LIFETIME * 1000))])
    assert cookies_set(client.get("/me")).keys() == {ACCESS, REFRESH}, "the last token of the old key has expired"


async def test_it_is_forgotten_when_the_keys_change_for_those_who_carry_it_themselves(
    sessions: SessionManager, clock: MovableClock, verified: list[object]
) -> None:
    async with sessions:
        token = (await sessions.create_new_session_without_request("alice")).access_token.value
        for _ in range(2):
            await sessions.get_session_without_request(token)
        assert len(verified) == 1
        keys = sessions.lifecycle.keys
        keys.keyring = Keyring([*keys.keyring.keys, successor(signs_from=clock() - round(LIFETIME * 1000))])
        with pytest.raises(TryRefreshToken):
            await sessions.get_session_without_request(token)
    assert len(verified) == 2


def test_a_refusal_is_forgotten_when_the_keys_change(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    assert client.portal is not None
    keys = client.portal.call(keys_of, sessions)
    right = keys.keyring
    keys.keyring = Keyring([replace(key, secret=generate(key.algorithm)) for key in right.keys])
    token = {"cookie": f"{ACCESS}={client.cookies[ACCESS]}"}
    client.cookies.clear()
    assert client.get("/me", headers=token).status_code == 401
    keys.keyring = right
    assert client.get("/me", headers=token).status_code == 200


def successor(signs_from: int) -> SigningKey:
    return SigningKey(new_key_id(), 99, "HS256", generate("HS256"), signs_from=signs_from)


async def keys_of(sessions: SessionManager) -> Any:
    return sessions.lifecycle.keys


def test_another_sites_request_is_refused_all_the_same(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    assert client.get("/me").status_code == 200
    assert client.post("/logout", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/me").status_code == 200


@pytest.mark.parametrize("method", ["GET", None])
async def test_another_sites_socket_is_refused_whatever_the_server_calls_its_method(
    clock: MovableClock, method: str | None
) -> None:
    sessions = new_manager(clock)
    users: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        users.append((await get_session(HTTPConnection(scope))).user_id)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(message["type"])

    async with sessions:
        _, cookie = await login_cookie(sessions)
        for origin in ("https://testserver", "https://evil.example"):
            said: list[str] = []
            scope = scope_of("websocket", "/", cookie, spec_version="2.3", origin=origin)
            if method is None:
                del scope["method"]
            await SessionMiddleware(app, manager=sessions)(scope, receive, send)
    assert users == ["alice"]
    assert said[0] == "websocket.http.response.start"


def test_nothing_that_an_application_can_change_is_shared(open_client: OpenClient, sessions: SessionManager) -> None:
    async def changes(request: Request) -> Response:
        session = await get_session(request)
        before = list(session.jwt_payload["roles"])
        session.jwt_payload["roles"].append("admin")
        return JSONResponse(before)

    async def begins(request: Request) -> Response:
        await sessions.create_new_session(request, "alice", jwt_payload={"roles": ["user"]})
        return JSONResponse(None)

    routes = [Route("/changes", changes), Route("/begins", begins, methods=["POST"])]
    client = open_client(application(sessions, *routes))
    client.post("/begins")
    for _ in range(3):
        assert client.get("/changes").json() == ["user"]


def test_keys_that_are_loaded_again_and_are_the_same_empty_nothing(
    open_client: OpenClient, sessions: SessionManager, verified: list[object]
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    client.get("/me")
    assert client.portal is not None
    keys = client.portal.call(keys_of, sessions)
    before = keys.keyring
    client.portal.call(lambda: keys._load(strict=True))
    assert keys.keyring is before
    client.get("/me")
    assert len(verified) == 1


def test_what_an_attacker_sends_is_not_remembered(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    client.get("/me")
    token = client.cookies[ACCESS]
    client.cookies.clear()
    header, body, signature = token.split(".")
    forged = [
        *(written(head(token), claims(token) | {"sub": f"user {number}"}, b"0" * 32) for number in range(20)),
        *(f"{header}.{body}.{signature[:-2]}{letters}" for letters in ("AA", "QA", "gA")),
        f"{token} ",
        f"{token}.",
        token[:-1],
        "",
    ]
    for text in forged:
        client.get("/me", headers={"cookie": f"{ACCESS}={text}"})
        client.get("/me", headers={"authorization": f"Bearer {text}"})
    assert client.portal is not None
    assert client.portal.call(count_of, sessions) == 1


def test_a_forged_token_costs_one_verification(
    open_client: OpenClient, sessions: SessionManager, verified: list[object]
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    token, refresh = client.cookies[ACCESS], client.cookies[REFRESH]
    client.cookies.clear()
    header, body, _ = token.split(".")
    forged = [f"{header}.{body}.{letter * 42}A" for letter in "bc"]
    for text in [forged[0], forged[0], forged[1], forged[0]]:
        answer = client.get("/me", headers={"cookie": f"{ACCESS}={text}"})
        assert answer.status_code == 401
    assert verified == [forged[0], forged[1], forged[0]]
    assert client.get("/me", headers={"cookie": f"{ACCESS}={token}; {REFRESH}={refresh}"}).status_code == 200
    assert verified[3:] == [token]


async def count_of(sessions: SessionManager) -> int:
    return remembered(sessions)


def test_with_more_revocations_than_fit_the_database_is_asked(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, revocation_memory=64_000)
    client = open_client(application(sessions))
    client.post("/login")
    handle = client.get("/me").json()["handle"]

    async def overflow() -> None:
        feed = sessions.lifecycle._feed
        assert feed is not None
        for _ in range(64_000 // HANDLE_BYTES + 1):
            feed.add(secrets.token_hex(16))

    assert client.portal is not None
    client.portal.call(overflow)
    with counted() as statements:
        assert client.get("/me").status_code == 200
    assert sum(f"{sessions.settings.table_prefix}sessions" in statement for statement in statements) >= 1
    client.portal.call(sessions.revoke_session_using_session_handle, handle)
    answer = client.get("/me")
    assert answer.status_code == 401
    assert cookies_set(answer) == CLEARED
