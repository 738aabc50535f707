from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_sessions import IssuedSession, SessionManager, SessionSettings
from asgi_sessions.oidc import oidc_index, oidc_logout_router, oidc_logout_routes
from tests.clocks import MovableClock
from tests.oidc.openid_provider import OpenIDProvider
from tests.prepared_databases import PreparedDatabases

Build = Callable[[SessionManager, Any], Any]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def provider(clock: MovableClock) -> Iterator[OpenIDProvider]:
    with OpenIDProvider(clock) as provider:
        yield provider


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> Iterator[str]:
    with prepared_databases.address(request.param, request) as url:
        yield url


@pytest.fixture
async def sessions(url: str, clock: MovableClock) -> AsyncIterator[SessionManager]:
    settings = SessionSettings(database_url=url, secret_key="a-secret-of-these-tests-alone-" * 2, purge_interval=0)
    async with SessionManager(settings, clock=clock) as sessions:
        yield sessions


def starlette_app(sessions: SessionManager, providers: Any) -> Starlette:
    return Starlette(routes=[Mount("/auth", routes=oidc_logout_routes(sessions, providers))])


def fastapi_app(sessions: SessionManager, providers: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(oidc_logout_router(sessions, providers), prefix="/auth")
    return app


@pytest.fixture(params=[starlette_app, fastapi_app], ids=["starlette", "fastapi"])
def build(request: pytest.FixtureRequest) -> Build:
    found: Build = request.param
    return found


class Site:
    """Our application, as the provider reaches it."""

    def __init__(self, app: Any, sessions: SessionManager, provider: OpenIDProvider) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.example")
        self.sessions = sessions
        self.provider = provider

    async def log_in(self, user: str = "ada", **claims: Any) -> IssuedSession[Any, Any]:
        index = oidc_index(self.provider.id_token_claims(**claims))
        return await self.sessions.create_new_session_without_request(user, index=index)

    async def post(self, token: str) -> httpx.Response:
        return await self.client.post("/auth/oidc/backchannel-logout", data={"logout_token": token})

    async def live(self, user: str = "ada") -> list[str]:
        return await self.sessions.get_all_session_handles_for_user(user)


@pytest.fixture
async def site(build: Build, sessions: SessionManager, provider: OpenIDProvider) -> AsyncIterator[Site]:
    site = Site(build(sessions, [provider.as_configured()]), sessions, provider)
    async with site.client:
        yield site
