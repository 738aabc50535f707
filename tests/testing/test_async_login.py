"""`async_login`: the same for AsyncClient over ASGITransport, of httpx2 and of httpx."""

from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

from asgi_sessions import ConfigurationError, SessionManager
from asgi_sessions.testing import async_login
from tests.testing.conftest import NewManager, application


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = pytest.importorskip(request.param)
    return module


def client_of(library: ModuleType, app: Any, base_url: str = "http://testserver") -> Any:
    return library.AsyncClient(transport=library.ASGITransport(app), base_url=base_url)


async def test_async_login_is_one_line(library: ModuleType, app: FastAPI, sessions: SessionManager) -> None:
    async with sessions, client_of(library, app) as client:
        session = await async_login(client, 42, jwt_payload={"role": "admin"})
        assert (await client.get("/me")).json() == {"user": 42, "payload": {"role": "admin"}}
        await session.revoke_session()
        assert (await client.get("/me")).status_code == 401


async def test_two_clients_are_two_browsers(library: ModuleType, app: FastAPI, sessions: SessionManager) -> None:
    async with sessions, client_of(library, app) as client, client_of(library, app) as other:
        await async_login(client, "42")
        await async_login(other, "43")
        assert (await client.get("/me")).json()["user"] == "42"
        assert (await other.get("/me")).json()["user"] == "43"


async def test_header_transport_sets_the_header(library: ModuleType, new_manager: NewManager) -> None:
    sessions = new_manager(token_transport="header")
    async with sessions, client_of(library, application(sessions)) as client:
        await async_login(client, "42")
        assert (await client.get("/me")).json()["user"] == "42"


async def test_a_manager_that_is_not_running_is_an_error_that_names_the_cure(library: ModuleType, app: FastAPI) -> None:
    async with client_of(library, app) as client:
        with pytest.raises(ConfigurationError, match="async with sessions"):
            await async_login(client, "42")


async def test_a_client_without_a_base_url_is_an_error_that_names_it(
    library: ModuleType, app: FastAPI, sessions: SessionManager
) -> None:
    async with sessions, client_of(library, app, base_url="") as client:
        with pytest.raises(ConfigurationError, match="base_url"):
            await async_login(client, "42")


async def test_an_application_out_of_sight_is_an_error_that_names_the_cure(sessions: SessionManager) -> None:
    import httpx2

    async with sessions, httpx2.AsyncClient(base_url="https://testserver") as client:
        with pytest.raises(ConfigurationError, match="manager=sessions"):
            await async_login(client, "42")
