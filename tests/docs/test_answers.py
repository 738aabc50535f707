"""docs/fastapi.md tells every field of the routes' answers and of a record, and which end `expires_at` is."""

import inspect
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionMiddleware, SessionRecord, SessionSettings, session_routes, testing
from asgi_sessions.fastapi import session_router
from tests.docs.pages import ROOT

IDLE, ABSOLUTE = timedelta(days=3), timedelta(days=30)
ENDS = {"the idle end": IDLE, "the absolute end": ABSOLUTE}
COLUMNS = ("GET …/session", "POST …/session/refresh", "each of GET …/sessions", "SessionRecord")


def documented() -> dict[str, dict[str, str]]:
    """For each column its fields, and what the page says of each there."""
    _, _, section = (ROOT / "docs" / "fastapi.md").read_text().partition("### What they answer\n")
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    (_, *names, _), _, *lines = rows
    assert tuple(names) == COLUMNS
    return {name: {field: cells[place] for field, *cells in lines if cells[place]} for place, name in enumerate(names)}


@pytest.fixture(params=["session_router", "session_routes"])
def answers(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """What the routes answer just after a login."""
    sessions = SessionManager(SessionSettings(idle_timeout=IDLE, absolute_timeout=ABSOLUTE))
    app: Starlette
    if request.param == "session_router":
        app = FastAPI()
        app.include_router(session_router(), prefix="/auth")
    else:
        app = Starlette(routes=[Mount("/auth", routes=session_routes())])
    app.add_middleware(SessionMiddleware, manager=sessions)
    with testing.client(app) as client:
        testing.login(client, "alice")
        return asked(client)


def asked(client: TestClient) -> dict[str, dict[str, Any]]:
    session, refresh, sessions, _ = COLUMNS
    return {
        session: client.get("/auth/session").json(),
        refresh: client.post("/auth/session/refresh").json(),
        sessions: client.get("/auth/sessions").json()[0],
    }


@pytest.mark.parametrize("column", COLUMNS[:3])
def test_the_fields_of_each_answer_are_told_and_no_others(answers: dict[str, dict[str, Any]], column: str) -> None:
    assert set(documented()[column]) == set(answers[column])


@pytest.mark.parametrize("column", COLUMNS[:3])
def test_each_end_is_the_one_that_is_told(answers: dict[str, dict[str, Any]], column: str) -> None:
    began = datetime.fromisoformat(answers[COLUMNS[2]]["created_at"])
    told = {name: ENDS[what] for name, what in documented()[column].items() if what in ENDS}
    assert "expires_at" in told
    for name, lasts in told.items():
        late = datetime.fromisoformat(answers[column][name]) - (began + lasts)
        assert timedelta() <= late < timedelta(hours=1), name


def test_the_fields_of_a_record_are_told() -> None:
    attributes = {field.name for field in fields(SessionRecord)}
    attributes |= {name for name, _ in inspect.getmembers(SessionRecord, lambda member: isinstance(member, property))}
    assert set(documented()["SessionRecord"]) == attributes
