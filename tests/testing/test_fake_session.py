"""`fake_session`: what a route does with a session, without any."""

import uuid
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from asgi_sessions import ImpersonationRefused, Session, Unauthorised, get_session, require_session
from asgi_sessions.fastapi import CurrentSession
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.testing import FakeSession, fake_session

recent = require_session(max_auth_age=60)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)  # never started: no manager, no database


def test_an_override_logs_the_user_in(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[get_session] = fake_session("42", jwt_payload={"role": "admin"})
    assert client.get("/me").json() == {"user": "42", "payload": {"role": "admin"}}


def test_each_dependency_object_is_overridden_by_itself() -> None:
    app = FastAPI()

    @app.get("/")
    async def danger(session: Session[int, Any] = Depends(recent)) -> int:  # noqa: B008
        return session.user_id

    app.dependency_overrides[recent] = fake_session(42)
    assert TestClient(app).get("/").json() == 42


def test_a_websocket_route_gets_it(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[get_session] = fake_session("42")
    with client.websocket_connect("/socket") as socket:
        assert socket.receive_json() == {"user": "42"}


def test_openapi_names_no_parameters_of_its_own(app: FastAPI) -> None:
    override = fake_session("42")
    app = FastAPI()

    @app.get("/")
    async def direct(session: Any = Depends(override)) -> None:  # noqa: B008
        pass

    assert "parameters" not in app.openapi()["paths"]["/"]["get"]


@pytest.mark.parametrize("user_id", ["42", 42, uuid.UUID(int=42)])
def test_the_user_id_keeps_its_type(user_id: UserId) -> None:
    session = fake_session(user_id)()
    assert session.user_id == user_id
    assert type(session.user_id) is type(user_id)


def test_it_can_do_without_a_user_id() -> None:
    assert fake_session().user_id == "test-user"


def test_the_handle_is_random_or_as_given() -> None:
    assert fake_session("42").session_handle != fake_session("42").session_handle
    assert fake_session("42", session_handle="laptop")().session_handle == "laptop"


async def test_it_is_a_session_for_functions_that_are_called_directly() -> None:
    async def route(session: CurrentSession) -> str:
        return f"hello {session.user_id}"

    assert await route(fake_session("42")) == "hello 42"
    assert await route(fake_session("42")()) == "hello 42"


async def test_it_ends_later_and_began_now() -> None:
    session = fake_session("42")
    assert session.auth_time < session.expires_at


def test_logging_out_ends_it_for_later_requests(app: FastAPI, client: TestClient) -> None:
    session = app.dependency_overrides[get_session] = fake_session("42")
    before = session.revoked
    assert client.post("/logout").status_code == 200
    assert (before, session.revoked) == (False, True)
    answer = client.get("/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")


def test_a_revoked_one_is_answered_with_401_even_without_the_middleware() -> None:
    app = FastAPI()

    @app.get("/")
    async def me(session: CurrentSession) -> None:
        await session.revoke_session()

    app.dependency_overrides[get_session] = fake_session("42")
    client = TestClient(app)
    assert [client.get("/").status_code for _ in range(2)] == [200, 401]


def test_a_new_payload_shows_in_later_requests_and_in_the_test(app: FastAPI, client: TestClient) -> None:
    session = app.dependency_overrides[get_session] = fake_session("42", jwt_payload={"step": 1})
    client.post("/payload", json={"step": 2})
    assert client.get("/me").json()["payload"] == {"step": 2}
    assert session.jwt_payload == {"step": 2}


def test_a_payload_changed_in_place_is_lost_as_in_production() -> None:
    session = fake_session("42", jwt_payload={"step": 1})
    session().jwt_payload["step"] = 2
    assert session().jwt_payload == session.jwt_payload == {"step": 1}


def test_the_info_is_kept_between_requests(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[get_session] = fake_session("42")
    assert client.get("/info").json() is None
    client.put("/info", json={"basket": [1]})
    assert client.get("/info").json() == {"basket": [1]}


async def test_the_info_can_be_changed_by_a_function() -> None:
    session = fake_session("42")
    assert await session.change_session_info(lambda info: [info]) == [None]
    assert await session().change_session_info(lambda info: [*info, 1]) == [None, 1]
    assert await session.get_session_info() == [None, 1]
    with pytest.raises(TypeError, match="change must return the new session_info"):
        await session.change_session_info(list.clear)


async def test_it_has_no_other_sessions() -> None:
    fake = fake_session("42")
    assert await fake.revoke_other_sessions() == 0
    with pytest.raises(ImpersonationRefused):
        await fake_session("42", actor="admin").revoke_other_sessions()
    await fake.revoke_session()
    with pytest.raises(Unauthorised):
        await fake.revoke_other_sessions()


async def test_a_revoked_one_refuses_everything() -> None:
    fake = fake_session("42")
    session = fake()
    await session.check()
    await session.revoke_session()
    for refused in (
        session.check(),
        session.get_session_info(),
        session.update_session_info({}),
        session.change_session_info(lambda info: []),
        session.update_jwt_payload({}),
    ):
        with pytest.raises(Unauthorised):
            await refused
    with pytest.raises(Unauthorised):
        fake()


async def test_what_json_cannot_keep_is_refused_as_in_production() -> None:
    session = fake_session("42")
    with pytest.raises(TypeError):
        await session.update_jwt_payload((1, 2))
    with pytest.raises(TypeError):
        await session.update_session_info({1: 2})
    with pytest.raises(TypeError):
        fake_session("42", jwt_payload=object())
    with pytest.raises(TypeError):
        fake_session(True)
    with pytest.raises(ValueError, match="longer"):
        fake_session("x" * 256)


async def test_updating_the_payload_returns_no_real_token() -> None:
    assert (await fake_session("42").update_jwt_payload({})).value == "no-real-token"


def test_it_has_every_method_of_a_session() -> None:
    assert issubclass(FakeSession, Session)
    assert "FakeSession" in repr(fake_session("42"))
