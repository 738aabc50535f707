"""Every block of Python in the README and the documentation is executed; applications among them are logged in to."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from asgi_sessions import testing
from tests.docs.pages import (
    FIRST_FILE,
    PAGES,
    PAGES_WITH_CODE,
    README,
    ROOT,
    as_one_module,
    blocks_of,
    files_of,
    name_of,
    python_blocks_of,
)

Namespace = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Namespace]:
    """Executes a page's blocks in order and in one namespace, in a folder with nothing but the README's application."""
    for name in os.environ:
        if name.upper().startswith("ASGI_SESSIONS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / FIRST_FILE).write_text(files_of(README)[FIRST_FILE])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "main", raising=False)

    def execute(page: Path) -> Namespace:
        namespace: Namespace = {"__name__": f"docs_{page.stem.replace('-', '_')}"}
        exec(compile(as_one_module(page), str(page), "exec"), namespace)
        return namespace

    return execute


def applications(namespace: Namespace) -> list[Starlette]:
    """Those that a user can log in to."""
    found = {id(value): value for value in namespace.values() if isinstance(value, Starlette)}
    return [app for app in found.values() if "/login" in {getattr(route, "path", None) for route in app.routes}]


def credentials(client: TestClient) -> dict[str, str]:
    """Log in, and return the headers that a client adds to its requests from then on."""
    answer = client.post("/login", json={"name": "alice", "password": "wonderland"})
    assert answer.status_code == 200, answer.text
    headers = {}
    if "anti-csrf" in answer.headers:
        headers["anti-csrf"] = answer.headers["anti-csrf"]
    if "st-access-token" in answer.headers:
        headers["Authorization"] = f"Bearer {answer.headers['st-access-token']}"
    return headers


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_the_code_of_a_page_works(page: Path, run: Callable[[Path], Namespace]) -> None:
    for app in applications(run(page)):
        with TestClient(app, base_url="https://testserver") as client:
            assert client.get("/me").status_code == 401
            headers = credentials(client)
            assert client.get("/me", headers=headers).status_code == 200
            assert client.post("/logout", headers=headers).status_code == 200
            assert client.get("/me", headers=headers).status_code == 401


def test_an_open_page_hears_of_a_changed_role(run: Callable[[Path], Namespace]) -> None:
    namespace = run(ROOT / "docs" / "fastapi.md")
    namespace["EVERY"] = 0.05
    with TestClient(namespace["app"], base_url="https://testserver") as client:
        credentials(client)
        with client.websocket_connect("wss://testserver/payload") as socket:
            assert client.portal is not None
            client.portal.call(namespace["sessions"].change_jwt_payload_for_user, "alice", namespace["as_a_reader"])
            assert socket.receive_json() == {"role": "reader"}


def test_the_readme_begins_with_a_whole_application(run: Callable[[Path], Namespace]) -> None:
    namespace: Namespace = {"__name__": "main"}
    exec(blocks_of(README)[0].code, namespace)
    assert applications(namespace)


def test_an_administrator_of_the_mounted_application_keeps_her_own_session(run: Callable[[Path], Namespace]) -> None:
    app = run(ROOT / "docs" / "fastapi.md")["app"]
    with TestClient(app, base_url="https://testserver") as client:
        credentials(client)
        assert client.get("/back-office/desk").status_code == 401
        assert client.get("/back-office/auth/session").status_code == 401
        assert client.post("/back-office/act-as/bob").status_code == 401
        client.post("/logout")
        answer = client.post("/back-office/sign-in", json={"name": "root", "password": "looking-glass"})
        assert answer.json() == {"staff": "root"}
        assert client.get("/me").status_code == 401
        assert client.post("/back-office/act-as/bob").json() == {"user": "bob", "actor": "root"}
        assert client.get("/me").json() == {"user": "bob"}
        assert client.post("/auth/signout").status_code == 200
        assert client.get("/me").status_code == 401
        assert client.get("/back-office/desk").json() == {"staff": "root"}


def test_every_page_that_shows_an_application_is_driven(run: Callable[[Path], Namespace]) -> None:
    undriven = [
        name_of(page)
        for page in PAGES_WITH_CODE
        if any("\napp.add_middleware" in block.code for block in python_blocks_of(page)) and not applications(run(page))
    ]
    assert undriven == []


def test_blocks_that_are_not_run_are_few_and_say_why() -> None:
    left_alone = [block for page in PAGES for block in blocks_of(page) if block.not_run is not None]
    assert all(len(block.not_run or "") > 10 for block in left_alone)
    elsewhere = ROOT / "docs" / "frameworks.md"  # each of its sections is driven by tests/frameworks
    assert len([block for block in left_alone if block.page != elsewhere]) <= 5


def test_the_user_of_the_fastapi_page_takes_a_role_away(run: Callable[[Path], Namespace]) -> None:
    with testing.client(run(ROOT / "docs" / "fastapi.md")["app"]) as alice:
        bob = testing.second_client(alice)
        for name, client in (("alice", alice), ("bob", bob)):
            assert client.post("/login", json={"name": name, "password": "wonderland"}).status_code == 200
        assert bob.get("/role").json() == "editor"
        assert bob.post("/users/alice/demote").status_code == 403
        assert alice.post("/users/bob/demote").json() == 1
        assert bob.get("/role").json() == "reader"


def test_the_limit_of_the_logout_page_needs_no_payload_and_a_login_says_what_it_has_ended(
    run: Callable[[Path], Namespace],
) -> None:
    with testing.client(run(ROOT / "docs" / "logout.md")["app"]) as client:
        testing.login(client, "alice")
        for _ in range(6):
            testing.login(testing.second_client(client), "alice")
        assert client.get("/me").status_code == 401  # the plan allows six
        answer = client.post("/sign-in", json={"name": "alice", "password": "wonderland"})
        assert len(answer.json()["logged_out"]) == 1
        assert len(client.get("/devices").json()["devices"]) == 6


def test_the_readmes_own_user_may_call_its_administrators_routes(run: Callable[[Path], Namespace]) -> None:
    with testing.client(run(README)["app"]) as client:
        credentials(client)
        others = [testing.login(testing.second_client(client), user) for user in (7, 7, 8)]
        assert client.delete(f"/admin/sessions/{others[0].session_handle}").json() == {"ended": True}
        assert client.delete("/admin/users/7/sessions").json() == {"ended": 1}
        assert client.delete("/admin/sessions").json() == {"ended": 1}
        assert client.get("/me").status_code == 200


def test_the_own_user_of_the_starlette_page_sees_its_statistics(run: Callable[[Path], Namespace]) -> None:
    with testing.client(run(ROOT / "docs" / "starlette.md")["app"]) as client:
        credentials(client)
        assert client.get("/statistics").json() == {"for": "alice"}
