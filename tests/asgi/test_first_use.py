"""promote_on="first_use" where the middleware refreshes: what an access token shows at its first use."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import StoreUnavailable
from asgi_sessions.store.repository import SessionRepository
from tests.asgi.apps import (
    ACCESS,
    LIFETIME,
    MARKER,
    Jar,
    application,
    cookies_set,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


@pytest.fixture
def workers(open_client: OpenClient, clock: MovableClock, tmp_path: Path) -> list[TestClient]:
    """Two workers on one database."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    settings = {"database_url": url, "promote_on": "first_use", "secret_key": "0123456789abcdef0123456789abcdef-first"}
    return [open_client(application(new_manager(clock, **settings))) for _ in range(2)]


def me(worker: TestClient, jar: Jar) -> Any:
    worker.cookies.clear()
    return worker.get("/me", headers=jar.header)


def test_a_request_under_way_while_another_tab_rotated_is_served_as_a_late_parent(
    workers: list[TestClient], clock: MovableClock
) -> None:
    one, two = workers
    jar = Jar().take(one.post("/login"))
    clock.advance(LIFETIME)
    jar.take(me(one, jar))
    assert me(one, jar).status_code == 200  # the first use of generation 1
    under_way = jar.copy()
    clock.advance(250)  # old enough for a child
    jar.take(me(one, jar.without(ACCESS)))
    assert me(one, jar).status_code == 200  # the first use of generation 2
    response = me(two, under_way)
    assert (response.status_code, response.json().get("user")) == (200, "alice")
    assert cookies_set(response).keys() == {MARKER}


def test_a_fork_that_cannot_be_revoked_is_not_served(
    workers: list[TestClient], clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(self: SessionRepository, *arguments: Any, **options: Any) -> bool:
        raise StoreUnavailable

    worker = workers[0]
    jar = Jar().take(worker.post("/login"))
    stolen = jar.copy()
    clock.advance(LIFETIME)
    jar.take(me(worker, jar))
    clock.advance(190)  # further apart than sibling_window
    stolen.take(me(worker, stolen))
    assert me(worker, jar).status_code == 200
    with monkeypatch.context() as patched:
        patched.setattr(SessionRepository, "revoke", unavailable)
        assert me(worker, stolen).status_code == 503
    assert me(worker, stolen).json()["code"] == "token_theft_detected"
