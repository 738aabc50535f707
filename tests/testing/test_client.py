"""`client`: the application as it is, but for its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, StoreUnavailable, testing
from tests.testing.conftest import NewManager, application


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of the development: holds a session of user 42."""
    return tmp_path / "development.db"


@pytest.fixture
def sessions(file: Path, new_manager: NewManager) -> SessionManager:
    return new_manager(database_url=f"sqlite+aiosqlite:///{file}")


async def test_the_database_of_the_settings_is_neither_read_nor_written(
    app: FastAPI, sessions: SessionManager, file: Path
) -> None:
    async with sessions:
        await sessions.create_new_session_without_request("42")
    before = file.read_bytes()
    for _ in range(2):
        with testing.client(app) as client:
            testing.login(client, "42")
            assert client.get("/me").json()["user"] == "42"
            assert client.post("/auth/sessions/revoke-others").json() == {"revoked": 0}
    assert file.read_bytes() == before
    async with sessions:
        assert len(await sessions.get_all_session_handles_for_user("42")) == 1


def test_no_file_comes_into_being(app: FastAPI, file: Path) -> None:
    with testing.client(app) as client:
        testing.login(client, "42")
    assert not file.exists()


def test_the_applications_own_login_works_with_secure_cookies(sessions: SessionManager) -> None:
    app = application(sessions)

    @app.post("/login")
    async def login(request: Request) -> None:
        await sessions.create_new_session(request, "42")

    with testing.client(app) as client:
        assert client.post("/login").status_code == 200
        assert client.get("/me").json()["user"] == "42"


def test_settings_that_need_a_server_or_tables_do_not_here(file: Path, new_manager: NewManager) -> None:
    app = application(
        new_manager(
            database_url="mysql+asyncmy://app@127.0.0.1:1/app",
            secret_key="k" * 40,
            migrate_on_start=False,
            revocation_channel_url="redis://127.0.0.1:1/0",
        )
    )
    with testing.client(app) as client:
        testing.login(client, "42")
        assert client.get("/me").status_code == 200
    with pytest.raises(StoreUnavailable), TestClient(app):
        pass


def test_every_manager_is_on_a_database_of_its_own(
    app: FastAPI, sessions: SessionManager, file: Path, new_manager: NewManager
) -> None:
    staff = new_manager(database_url=f"sqlite+aiosqlite:///{file}", table_prefix="staff_", cookie_prefix="staff-")
    app.add_middleware(SessionMiddleware, manager=staff)
    with testing.client(app) as client:
        assert client.portal is not None
        testing.login(client, "42", manager=staff)
        assert len(client.portal.call(staff.get_all_session_handles_for_user, "42")) == 1
        assert client.portal.call(sessions.get_all_session_handles_for_user, "42") == []
    assert not file.exists()


def test_each_client_begins_with_an_empty_database(app: FastAPI) -> None:
    with testing.client(app) as client, testing.client(app) as other:
        testing.login(client, "42")
        testing.login(other, "42")
        assert client.post("/auth/sessions/revoke-others").json() == {"revoked": 0}
        assert other.get("/me").status_code == 200


def test_the_settings_come_back_also_where_the_application_cannot_start(sessions: SessionManager) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        assert sessions.settings is not before
        if app.state.is_broken:
            raise RuntimeError("no")
        yield

    app = Starlette(lifespan=lifespan)
    app.state.is_broken = True
    app.add_middleware(SessionMiddleware, manager=sessions)
    before = sessions.settings
    with pytest.raises(RuntimeError, match="no"), testing.client(app):
        pass
    assert sessions.settings is before


def test_an_application_without_sessions_is_named_as_such() -> None:
    with pytest.raises(ConfigurationError, match="found no SessionMiddleware"):
        testing.client(Starlette())


def test_a_manager_out_of_sight_can_be_named(app: FastAPI, sessions: SessionManager, file: Path) -> None:

    async def out_of_sight(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    with testing.client(out_of_sight, manager=sessions) as client:
        testing.login(client, "42", manager=sessions)
        assert client.get("/me").status_code == 200
    assert not file.exists()
