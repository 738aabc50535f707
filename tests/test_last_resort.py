"""Warnings are heard, with level and name, where nobody has set up logging; and by nobody twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.uvicorn_server import UvicornServer, environment_with


def said(set_up: str) -> str:
    program = f"""
import logging

import asgi_sessions

{set_up}
logging.getLogger("asgi_sessions.audit").warning("%s was here", "Kilroy")
logging.getLogger("asgi_sessions.audit").info("unheard")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment_with({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_a_warning_has_its_level_and_the_librarys_name_where_nobody_listens() -> None:
    assert said("") == "WARNING: asgi_sessions.audit: Kilroy was here\n"


@pytest.mark.parametrize(
    ("set_up", "heard"),
    [
        ("logging.basicConfig(format='root %(message)s')", "root Kilroy was here\n"),
        ("logging.getLogger().addHandler(logging.NullHandler())", ""),
        ("logging.getLogger('asgi_sessions').addHandler(logging.StreamHandler())", "Kilroy was here\n"),
        ("logging.getLogger('asgi_sessions.audit').addHandler(logging.StreamHandler())", "Kilroy was here\n"),
        ("logging.getLogger('asgi_sessions').setLevel(logging.ERROR)", ""),
        ("logging.lastResort = None", ""),
        ("import importlib; importlib.reload(asgi_sessions)", "WARNING: asgi_sessions.audit: Kilroy was here\n"),
        (
            "logging.basicConfig(format='root %(message)s'); logging.getLogger('asgi_sessions').propagate = False",
            "WARNING: asgi_sessions.audit: Kilroy was here\n",
        ),
    ],
)
def test_whoever_listens_hears_it_alone(set_up: str, heard: str) -> None:
    assert said(set_up) == heard


def test_uvicorns_log_has_the_warning_about_the_secret_key_and_its_cure(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("""
from starlette.applications import Starlette

from asgi_sessions import SessionManager, SessionMiddleware

app = Starlette()
app.add_middleware(SessionMiddleware, manager=SessionManager())
""")
    with UvicornServer("shop:app", tmp_path, {}) as server:
        (line,) = [line for line in server.log.splitlines() if "secret_key" in line]
    assert line.startswith("WARNING: asgi_sessions: secret_key: none, so whoever reads the database file can forge")
    assert "For production set ASGI_SESSIONS_SECRET_KEY; make one with: python -c " in line
