"""The pytest plugin, as a user asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = "asgi_sessions.testing.pytest_plugin"

USERS_TESTS = """
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from asgi_sessions import SessionManager, SessionMiddleware
from asgi_sessions.fastapi import CurrentSession
from asgi_sessions.testing import login

@pytest.fixture
def client(session_manager):
    app = FastAPI()
    app.add_middleware(SessionMiddleware, manager=session_manager)

    @app.get("/me")
    async def me(session: CurrentSession):
        return session.user_id

    with TestClient(app) as client:
        yield client

def test_login(client):
    login(client, "42")
    assert client.get("/me").json() == "42"

def test_time(client, session_clock):
    login(client, "42")
    session_clock.advance(15 * 24 * 3600)
    assert client.get("/me").status_code == 401

def test_settings(session_settings, tmp_path):
    assert str(tmp_path) in session_settings.database_url_text
    assert session_settings.secret_key

async def check(session_manager):
    async with session_manager:
        assert await session_manager.get_all_session_handles_for_user("42") == []

def test_without_application(session_manager):
    import asyncio
    asyncio.run(check(session_manager))
"""


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASGI_SESSIONS_", "PYTEST"))
    }
    environment |= {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_fixtures_work_in_a_users_tests_with_warnings_as_errors(tmp_path: Path) -> None:
    (tmp_path / "test_application.py").write_text(USERS_TESTS)
    done = run("-W", "error", "-m", "pytest", "-W", "error", "-p", PLUGIN, cwd=tmp_path)
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_fixtures_are_listed_with_a_description(tmp_path: Path) -> None:
    done = run("-m", "pytest", "-p", PLUGIN, "--fixtures", cwd=tmp_path)
    for fixture in ("session_clock", "session_settings", "session_manager"):
        assert fixture in done.stdout


WITHOUT_HTTPX2 = """
import sys, warnings
sys.modules["httpx2"] = None
import asgi_sessions.testing
import asgi_sessions.testing as testing
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette's own word on httpx, at the user's import
    from starlette.testclient import TestClient
import httpx
assert issubclass(TestClient, httpx.Client)
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.responses import PlainTextResponse
from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings, get_session

async def me(request):
    return PlainTextResponse((await get_session(request)).user_id)

app = Starlette(routes=[Route("/", me)])
app.add_middleware(SessionMiddleware, manager=SessionManager(SessionSettings(database_url="sqlite+aiosqlite://")))
with TestClient(app) as client:
    testing.login(client, "42")
    other = testing.second_client(client)
    testing.login(other, "43")
    print(client.get("/").text, other.get("/").text)
"""


def test_the_helpers_work_with_httpx_where_httpx2_is_not_installed(tmp_path: Path) -> None:
    pytest.importorskip("httpx")
    done = run("-W", "error", "-c", WITHOUT_HTTPX2, cwd=tmp_path)
    assert done.stdout == "42 43\n", done.stderr


def test_importing_the_helpers_imports_no_test_client(tmp_path: Path) -> None:
    code = "import sys, asgi_sessions.testing; print('starlette.testclient' in sys.modules, 'httpx2' in sys.modules)"
    assert run("-W", "error", "-c", code, cwd=tmp_path).stdout == "False False\n"
