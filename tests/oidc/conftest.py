from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_sessions import IssuedSession, SessionManager, SessionSettings
from asgi_sessions.oidc import (
    carrying_out,
    oidc_index,
    oidc_logout_router,
    oidc_logout_routes,
    ssf_receiver_router,
    ssf_receiver_routes,
    token_revocation_router,
    token_revocation_routes,
)
from asgi_sessions.oidc.shared_signals import StreamVerified
from tests.clocks import MovableClock
from tests.oidc.openid_provider import OpenIDProvider
from tests.oidc.transmitter import SET, Transmitter
from tests.prepared_databases import PreparedDatabases

Build = Callable[[SessionManager, Any], Any]


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no database that does not answer."""
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 60.0)


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


class Receiver:
    """Our application, as transmitters and revokers reach it.

    Args:
        sessions: Whose sessions end.
        transmitter: Who sends.
        framework: ``starlette`` or ``fastapi``.
        signals: How the transmitter is configured.
        on_stream_verified: Told in place of `verified`.
        **changes: How the transmitter and the revoker are configured, alike.

    Attributes:
        verified: The verification events of which the application has been told.
    """

    def __init__(
        self,
        sessions: SessionManager,
        transmitter: Transmitter,
        framework: str = "starlette",
        *,
        signals: Mapping[str, Any] = {},
        on_stream_verified: StreamVerified | None = None,
        **changes: Any,
    ) -> None:
        self.verified: list[tuple[str, str | None]] = []

        async def verified(issuer: str, state: str | None) -> None:
            self.verified.append((issuer, state))

        told = on_stream_verified or verified

        transmitters = [transmitter.as_transmitter(**changes, **signals)]
        revokers = [transmitter.as_revoker(**changes)]
        app: Any
        if framework == "starlette":
            routes = [
                *ssf_receiver_routes(sessions, transmitters, on_stream_verified=told),
                *token_revocation_routes(sessions, revokers),
            ]
            app = Starlette(routes=[Mount("/auth", routes=routes)])
        else:
            app = FastAPI()
            signalled = ssf_receiver_router(sessions, transmitters, on_stream_verified=told)
            app.include_router(signalled, prefix="/auth")
            app.include_router(token_revocation_router(sessions, revokers), prefix="/auth")
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.example")
        self.sessions = sessions
        self.transmitter = transmitter

    async def log_in(self, user: Any = "ada", **claims: Any) -> str:
        index = oidc_index(self.transmitter.id_token_claims(**claims))
        issued = await self.sessions.create_new_session_without_request(user, index=index)
        return issued.session.session_handle

    async def push(self, token: str | bytes, kind: str = f"application/{SET}", **headers: str) -> httpx.Response:
        return await self.client.post("/auth/ssf/events", content=token, headers={"content-type": kind} | headers)

    async def revoke(self, token: str | None, subject: Any, **more: Any) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.client.post("/auth/global-token-revocation", json={"sub_id": subject} | more, headers=headers)

    async def live(self, user: Any = "ada") -> list[str]:
        return await self.sessions.get_all_session_handles_for_user(user)


@pytest.fixture
def transmitter(clock: MovableClock) -> Iterator[Transmitter]:
    with Transmitter(clock) as transmitter:
        yield transmitter


@pytest.fixture
async def receiver(sessions: SessionManager, transmitter: Transmitter) -> AsyncIterator[Receiver]:
    receiver = Receiver(sessions, transmitter)
    async with receiver.client:
        yield receiver
