"""`second_client`: another browser at the same running application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, testing
from asgi_sessions.testing import login, second_client
from tests.testing.conftest import NewManager, application


def test_the_function_is_still_there_after_its_first_call(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert testing.second_client(client).get("/me").status_code == 401
        assert testing.second_client(client).get("/me").status_code == 401


def test_the_two_have_jars_of_their_own(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42")
        other = second_client(client)
        assert other.get("/me").status_code == 401
        login(other, "43")
        assert other.get("/me").json()["user"] == "43"
        assert client.get("/me").json()["user"] == "42"


def test_one_ends_the_others_session(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42")
        other = second_client(client)
        login(other, "42")
        assert client.post("/auth/sessions/revoke-others").json() == {"revoked": 1}
        assert other.get("/me").status_code == 401
        assert client.get("/me").status_code == 200


def starts_counted(sessions: SessionManager, starts: list[str]) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        starts.append("started")
        yield {"greeting": "hello"}

    async def greet(request: Request) -> JSONResponse:
        return JSONResponse(request.state.greeting)

    app = Starlette(routes=[Route("/", greet)], lifespan=lifespan)
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def test_the_application_is_not_started_again(sessions: SessionManager) -> None:
    starts: list[str] = []
    with TestClient(starts_counted(sessions, starts)) as client:
        with second_client(client) as other:
            assert other.get("/").json() == "hello"
        assert client.get("/").json() == "hello"
    assert starts == ["started"]


def test_it_has_the_options_and_headers_but_not_the_login_of_the_first(new_manager: NewManager) -> None:
    app = application(new_manager(token_transport="header"))
    with TestClient(app, base_url="https://shop.example", headers={"accept-language": "de"}) as client:
        client.follow_redirects = False
        login(client, "42")
        other = second_client(client)
        assert str(other.base_url) == "https://shop.example"
        assert other.headers["accept-language"] == "de"
        assert "authorization" not in other.headers
        assert other.follow_redirects is False


def test_it_answers_500_where_the_first_does(sessions: SessionManager) -> None:
    async def fail(request: Request) -> JSONResponse:
        raise RuntimeError

    app = Starlette(routes=[Route("/", fail)])
    app.add_middleware(SessionMiddleware, manager=sessions)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert second_client(client).get("/").status_code == 500


def test_a_third_can_come_from_the_second(app: FastAPI) -> None:
    with TestClient(app) as client:
        third = second_client(second_client(client))
        login(third, "44")
        assert third.get("/me").json()["user"] == "44"


def test_after_the_first_has_ended_the_second_says_so(app: FastAPI) -> None:
    with TestClient(app) as client:
        other = second_client(client)
    with pytest.raises(ConfigurationError, match=r"with testing.client\(app\)"):
        login(other, "42")
