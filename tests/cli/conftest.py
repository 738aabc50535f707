import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.cli import main
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.manager.session import impersonation_by
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.store.engine import parse_database_url
from asgi_sessions.store.place import Place
from tests.conftest import DATABASES
from tests.prepared_databases import PreparedDatabases

ResultT = TypeVar("ResultT")

AUDIT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO asgi_sessions\.audit: (.*)\n", re.MULTILINE)
SECRET_KEY = "a-secret-key-that-must-never-be-printed-anywhere"


@dataclass(frozen=True)
class Done:
    """What a command has left behind.

    Attributes:
        code: The exit code.
        out: What it has written to stdout.
        err: What it has written to stderr, but for the audit log.
        audit: The messages of the audit log on stderr.
    """

    code: int
    out: str
    err: str
    audit: tuple[str, ...]


Shell = Callable[..., Done]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets ASGI_SESSIONS_… variables, and no others are there."""
    for name in list(os.environ):
        if name.upper().startswith("ASGI_SESSIONS_"):
            monkeypatch.delenv(name)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"ASGI_SESSIONS_{name.upper()}", value)

    return set_variables


@pytest.fixture
def shell(environment: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command in this process, with the settings of the environment."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Done(code, printed.out, AUDIT.sub("", printed.err), tuple(AUDIT.findall(printed.err)))

    return run


@pytest.fixture(params=DATABASES)
def database(
    request: pytest.FixtureRequest, environment: Callable[..., None], prepared_databases: PreparedDatabases
) -> Iterator[str]:
    """A database without rows that the environment names, on each engine in turn."""
    with prepared_databases.address(request.param, request) as url:
        environment(database_url=url, secret_key=SECRET_KEY)
        yield url


def tables_of(url: str, prefix: str = "asgi_sessions_") -> str:
    """Where a command says that it has looked."""
    return f"the tables {prefix}* of {Place.of(parse_database_url(url))}"


@pytest.fixture
def empty_database(environment: Callable[..., None], database_url: str) -> str:
    """The same without tables."""
    environment(database_url=database_url, secret_key=SECRET_KEY)
    return database_url


@pytest.fixture
def sqlite(
    request: pytest.FixtureRequest, environment: Callable[..., None], prepared_databases: PreparedDatabases
) -> Iterator[str]:
    """A SQLite database without rows that the environment names: for what is the same on every engine."""
    with prepared_databases.address("sqlite", request) as url:
        environment(database_url=url, secret_key=SECRET_KEY)
        yield url


def with_manager(work: Callable[[SessionManager], Awaitable[ResultT]], **options: Any) -> ResultT:
    """Do something with the sessions, as the application would."""

    async def run() -> ResultT:
        async with SessionManager(SessionSettings(), **options) as sessions:
            return await work(sessions)

    return asyncio.run(run())


def log_in(*users: UserId, index: Mapping[str, str] | None = None, **options: Any) -> list[str]:
    """Begin a session for each; returns the handles."""

    async def work(sessions: SessionManager) -> list[str]:
        issued = [await sessions.create_new_session_without_request(user, index=index) for user in users]
        return [each.session.session_handle for each in issued]

    return with_manager(work, **options)


def act(actor: UserId, *users: UserId) -> list[str]:
    """Log somebody in, who then acts as each of these users; returns the handles, the actor's own first."""

    async def work(sessions: SessionManager) -> list[str]:
        own = (await sessions.create_new_session_without_request(actor)).session
        handles = [own.session_handle]
        for user in users:
            login = Login(user_id=user, impersonation=await impersonation_by(own, lifetime=3_600_000))
            tokens = await sessions.lifecycle.create(login, device=Device("Firefox on Linux", None))
            handles.append(tokens.access.handle)
        return handles

    return with_manager(work)


def live(*users: UserId) -> list[str]:
    """The handles of these users' live sessions."""

    async def work(sessions: SessionManager) -> list[str]:
        return [handle for user in users for handle in await sessions.get_all_session_handles_for_user(user)]

    return with_manager(work)
