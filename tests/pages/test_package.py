"""The extra: nobody else pays for it, what is missing is named, and every text has its translation."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.pages.languages import DOMAIN, OWN
from asgi_sessions.pages.names import names_of, rename
from asgi_sessions.store.repository import LIVING_BATCH
from tests.clocks import MovableClock
from tests.manager.test_statement_counts import ServerLog, log
from tests.pages.catalogues import TEMPLATE, catalogue, extracted, written
from tests.pages.site import DEVICES, starlette_app
from tests.servers import MariaDB

__all__ = ["log"]

WITHOUT = """
import sys
for name in {blocked}:
    sys.modules[name] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {blocked} else find(name, *rest)
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(("blocked", "title"), [("jinja2", "Jinja2"), ("babel", "Babel"), ("ua_parser", "ua-parser")])
def test_what_is_missing_is_named_with_its_extra(blocked: str, title: str) -> None:
    done = python(WITHOUT.format(blocked=[blocked]) + "import asgi_sessions.pages")
    said = f"ImportError: asgi_sessions.pages needs {title}: install the extra, asgi-user-sessions[pages]."
    assert said in done.stderr
    assert python(WITHOUT.format(blocked=["jinja2", "babel", "ua_parser"]) + "import asgi_sessions").returncode == 0


def test_nobody_loads_what_is_not_used() -> None:
    check = "; import sys; print(sorted({'jinja2', 'babel', 'ua_parser', 'fastapi'} & set(sys.modules)))"
    assert python("import asgi_sessions" + check).stdout == "[]\n"
    assert python("import asgi_sessions.pages" + check).stdout == "['babel', 'jinja2']\n"


def test_the_template_of_catalogues_has_every_text() -> None:
    assert TEMPLATE.read_text() == written(extracted()), "python -m tests.pages.catalogues writes it anew"


@pytest.mark.parametrize("path", sorted(OWN.glob(f"*/LC_MESSAGES/{DOMAIN}.po")), ids=lambda path: path.parts[-3])
def test_every_text_is_translated_with_its_places(path: Path) -> None:
    texts, found = {message.id: message for message in extracted() if message.id}, catalogue(path)
    assert {message.id for message in found if message.id} == set(texts)
    assert not found.obsolete
    for message in found:
        forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(forms), message.id
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        places = {name for text in ids for name in re.findall(r"%\((\w+)\)s", text)}
        for form in forms if message.id else ():
            assert set(re.findall(r"%\((\w+)\)s", form)) <= places, form
            assert set(re.findall(r"%\((\w+)\)s", forms[-1])) == places, form


@pytest.fixture
async def on_mariadb(mariadb_url: str, clock: MovableClock) -> AsyncIterator[SessionManager]:
    settings = SessionSettings(
        database_url=mariadb_url,
        secret_key="a-secret-for-these-tests-alone-of-32-bytes-or-more",
        revocation_check="none",
        max_sessions_per_user=None,
        cookie_secure=False,
    )
    async with SessionManager(settings, clock=clock) as sessions:
        yield sessions


async def test_a_list_of_two_hundred_is_two_statements(on_mariadb: SessionManager, log: ServerLog) -> None:
    sessions = on_mariadb
    for _ in range(200):
        issued = await sessions.create_new_session_without_request("alice")
    await rename(sessions, issued.session.session_handle, "Attic")
    cookies = {"sAccessToken": issued.access_token.value, "sRefreshToken": issued.refresh_token.value}
    transport = httpx2.ASGITransport(app=starlette_app(sessions))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver", cookies=cookies) as client:
        assert (await client.get(DEVICES)).status_code == 200
        log.clear()
        page = await client.get(DEVICES)
        assert log.verbs() == ["SELECT", "SELECT"]
        assert "Attic" in page.text


async def test_names_are_found_by_the_key_itself(on_mariadb: SessionManager, mariadb: MariaDB) -> None:
    sessions = on_mariadb
    infos: list[Any] = [
        {"asgi_sessions.device_name": "50% off_ ! \\ é 💻"},
        {"ASGI_SESSIONS.DEVICE_NAME": "no"},
        {"asgi_sessions%device_name": "no"},
        {"asgi_sessionsXdevice_name": "no"},
        ["asgi_sessions.device_name"],
        {"other": {"asgi_sessions.device_name": "no"}},
        {"asgi_sessions.device_name": ["no"]},
        None,
    ]
    handles = []
    for info in infos:
        issued = await sessions.create_new_session_without_request("alice", session_info=info)
        handles.append(issued.session.session_handle)
    found = await names_of(sessions, [*handles, "x" * 500, "\x00", *map(str, range(LIVING_BATCH))])
    assert found == {handles[0]: "50% off_ ! \\ é 💻"}
    assert await names_of(sessions, []) == {}
