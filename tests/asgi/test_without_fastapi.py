"""FastAPI, Alembic and the drivers are imported by those who use them, and nobody else."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fastapi":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""

STARLETTE = (
    BLOCK
    + """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings, get_session, session_routes

sessions = SessionManager(SessionSettings(database_url="sqlite+aiosqlite://"))

async def login(request):
    await sessions.create_new_session(request, 7)
    return JSONResponse({})

async def me(request):
    return JSONResponse((await get_session(request)).user_id)

app = Starlette(routes=[Route("/login", login), Route("/me", me), Mount("/auth", routes=session_routes())])
app.add_middleware(SessionMiddleware, manager=sessions)
with TestClient(app, base_url="https://testserver") as client:
    client.get("/login")
    print(client.get("/me").json(), client.get("/auth/session").json()["user_id"])
"""
)

LAZY = """
import sys
import asgi_sessions
heavy = {"fastapi", "alembic", "asyncmy", "aiosqlite", "asyncpg", "uvicorn", "httpx", "httpx2", "pytest"}
print(sorted(heavy & sys.modules.keys()))
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_starlette_application_needs_no_fastapi() -> None:
    assert run(STARLETTE) == "7 7"


def test_without_fastapi_only_its_own_module_cannot_be_imported() -> None:
    attempt = "try:\n import asgi_sessions.fastapi\nexcept ImportError as error: print(error.name)"
    assert run(f"{BLOCK}import asgi_sessions\n{attempt}").startswith("fastapi")


def test_importing_the_package_imports_no_framework_and_no_driver() -> None:
    assert run(LAZY) == "[]"
