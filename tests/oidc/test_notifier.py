"""Two services, each a process: a logout at one ends sessions and sockets at the other. No killed worker loses one."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from asgi_sessions import ConfigurationError, SessionManager, SessionSettings
from asgi_sessions.oidc import LogoutNotifier, LogoutReceiver, NotifierBacklog
from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.schema import build_tables
from tests.oidc.hearing import PATH, Hearing, Reply
from tests.oidc.services import AUDIENCE
from tests.patience import PATIENCE
from tests.servers import free_port
from tests.uvicorn_server import SECRET, UvicornServer

RECEIVER = LogoutReceiver(url="https://reports.example/logout", audience="reports")


def settings_of(url: str, **more: str) -> dict[str, str]:
    return {
        "ASGI_SESSIONS_DATABASE_URL": url,
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_COOKIE_SECURE": "false",
        **more,
    }


def manager(url: str = "sqlite+aiosqlite://", **settings: Any) -> SessionManager:
    given = {"signing_algorithm": "ES256", "purge_interval": 0} | settings
    return SessionManager(SessionSettings(database_url=url, secret_key=SECRET, **given))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_a_logout_at_one_service_ends_sessions_and_sockets_at_the_other(
    url: str, stack: ExitStack, tmp_path: Path
) -> None:
    issuer, ours = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    common = {"ACCOUNTS_ISSUER": issuer, "RECEIVER_URL": f"{ours}/auth/oidc/backchannel-logout"}
    theirs = settings_of(url, ASGI_SESSIONS_SIGNING_ALGORITHM="ES256", **common)
    of_reports = settings_of(f"sqlite+aiosqlite:///{tmp_path / 'reports.db'}", **common)
    servers = [
        UvicornServer("tests.oidc.services:accounts", tmp_path, theirs, port=_port(issuer), options=["--factory"]),
        UvicornServer("tests.oidc.services:reports", tmp_path, of_reports, port=_port(ours), options=["--factory"]),
    ]
    for server in servers:
        stack.enter_context(server)
    async with httpx.AsyncClient(base_url=issuer) as at_accounts, httpx.AsyncClient(base_url=ours) as at_reports:
        other = await _log_in(issuer, ours, "ada")
        sid = (await at_accounts.post("/login", json={"sub": "ada"})).json()["sid"]
        claims = {"iss": issuer, "sub": "ada", "sid": sid}
        assert (await at_reports.post("/login", json=claims)).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in at_reports.cookies.items())
        address = f"ws{ours.removeprefix('http')}/socket"
        async with connect(address, additional_headers={"Cookie": cookies}, origin=Origin(ours)) as socket:
            assert await socket.recv() == "ada"
            assert (await at_accounts.post("/logout")).status_code == 200
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        assert (await at_reports.get("/me")).status_code == 401
    assert (await other.get("/me")).status_code == 200, "her other session stays"
    await other.aclose()


async def _log_in(issuer: str, ours: str, user: str) -> httpx.AsyncClient:
    async with httpx.AsyncClient(base_url=issuer) as at_accounts:
        sid = (await at_accounts.post("/login", json={"sub": user})).json()["sid"]
    client = httpx.AsyncClient(base_url=ours)
    assert (await client.post("/login", json={"iss": issuer, "sub": user, "sid": sid})).status_code == 200
    return client


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("dies", ["before it has the answer", "after the answer"])
async def test_a_worker_that_is_killed_while_it_delivers_loses_nothing(
    dies: str, url: str, stack: ExitStack, tmp_path: Path
) -> None:
    hearing = stack.enter_context(Hearing(AUDIENCE))
    settings = settings_of(
        url,
        ASGI_SESSIONS_SIGNING_ALGORITHM="ES256",
        ACCOUNTS_ISSUER="https://accounts.example",
        RECEIVER_URL=f"{hearing.address}{PATH}",
    )
    first = UvicornServer("tests.oidc.services:accounts", tmp_path, settings, options=["--factory"])
    stack.enter_context(first)
    killed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def kill(token: str) -> Reply:
        if len(hearing.heard) >= 5 and not killed.is_set():
            os.kill(first.pid, signal.SIGKILL)
            loop.call_soon_threadsafe(killed.set)
        return Reply(silent=dies.startswith("before") and len(hearing.heard) >= 5)

    hearing.answer = kill
    async with manager(url) as sessions:  # of no notifier
        issued = [await sessions.create_new_session_without_request(user) for user in range(40)]
        handles = [each.session.session_handle for each in issued]
        assert await sessions.revoke_sessions() == 40
        await asyncio.wait_for(killed.wait(), PATIENCE)
        hearing.hangs.set()
        hearing.answer = lambda token: Reply()
        await _end_leases(url)
        second = UvicornServer("tests.oidc.services:accounts", tmp_path, settings, options=["--factory"])
        stack.enter_context(second)
        async with asyncio.timeout(PATIENCE):
            while any(each.waiting for each in await sessions.lifecycle.notifications.backlog()) or not (
                {sid for sid, _ in hearing.told} >= set(handles)
            ):
                await asyncio.sleep(0.05)
    assert {sid for sid, _ in hearing.told} == set(handles)


async def _end_leases(url: str) -> None:
    """As if their time had passed."""
    database = await open_database(url)
    await database.run(update(build_tables().leases).values(expires_at=database_now()))
    await database.close()


# -- how it is configured


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"url": "http://reports.example/logout"}, ValueError),
        ({"url": "https:///logout"}, ValueError),
        ({"url": "https://[/logout"}, ValueError),
        ({"url": "ftp://localhost/logout"}, ValueError),
        ({"url": "http://localhost.example/logout"}, ValueError),
        ({"url": "https://user:password@reports.example/logout"}, ValueError),
        ({"url": "https://reports.example/logout#here"}, ValueError),
        ({"url": ""}, ValueError),
        ({"url": 7}, TypeError),
        ({"audience": ""}, ValueError),
        ({"audience": "two words"}, ValueError),
        ({"audience": "r\xe9ports"}, ValueError),
        ({"audience": "x" * 201}, ValueError),
        ({"audience": None}, TypeError),
    ],
)
def test_a_receiver_that_cannot_be_meant(changes: dict[str, Any], error: type[Exception]) -> None:
    good = {"url": "https://reports.example/logout", "audience": "x" * 200}
    LogoutReceiver(**good)
    LogoutReceiver(**good | {"url": "http://127.0.0.1:8000/logout"})
    with pytest.raises(error, match=next(iter(changes))):
        LogoutReceiver(**good | changes)


def test_a_notifier_that_cannot_be_meant() -> None:
    other: Any = LogoutReceiver(url="https://other.example", audience="reports")
    for receivers in ([], [RECEIVER, other]):
        with pytest.raises(ValueError, match="receivers"):
            LogoutNotifier(manager(), receivers, issuer="https://accounts.example")
    wrong: Any = ["https://reports.example"]
    with pytest.raises(TypeError, match="receivers"):
        LogoutNotifier(manager(), wrong, issuer="https://accounts.example")
    with pytest.raises(ValueError, match="issuer"):
        LogoutNotifier(manager(), [RECEIVER], issuer="")
    with pytest.raises(TypeError, match="sessions"):
        LogoutNotifier(None, [RECEIVER], issuer="https://accounts.example")  # type: ignore[arg-type]


def test_without_public_keys_there_is_none() -> None:
    with pytest.raises(ConfigurationError, match="signing_algorithm: HS256"):
        LogoutNotifier(manager(signing_algorithm="HS256"), [RECEIVER], issuer="https://accounts.example")


async def test_a_manager_has_one_from_its_start() -> None:
    sessions = manager()
    notifier = LogoutNotifier(sessions, [RECEIVER], issuer="https://accounts.example")
    with pytest.raises(ConfigurationError, match="one already"):
        LogoutNotifier(sessions, [RECEIVER], issuer="https://accounts.example")
    async with sessions:
        assert await notifier.backlog() == [NotifierBacklog("reports", 0, 0, None)]
        late = manager()
        async with late:
            with pytest.raises(ConfigurationError, match="before the manager is started"):
                LogoutNotifier(late, [RECEIVER], issuer="https://accounts.example")
