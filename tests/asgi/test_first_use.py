"""promote_on="first_use" where the middleware refreshes: what an access token shows at its first use."""

from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import StoreUnavailable, session_routes
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


def test_no_token_leaves_that_no_cookie_holds(open_client: OpenClient, clock: MovableClock) -> None:
    """A worker with other settings has accepted the payload; with the reference's protocol first uses are rewritten."""
    settings = {"promote_on": "first_use", "client_protocol": "supertokens", "refresh": "endpoint", "csrf": "off"}
    sessions = new_manager(clock, revocation_check="database", **settings)
    client = open_client(application(sessions, Mount("/auth", routes=session_routes())))
    handle = client.post("/login").json()["handle"]

    def rewritten() -> set[str]:
        response = client.get("/me")
        assert response.status_code == 200
        return set(cookies_set(response))

    def refresh() -> None:
        clock.advance(LIFETIME)
        assert client.post("/auth/session/refresh").status_code == 200

    refresh()
    assert rewritten() == {"sAccessToken"}
    refresh()
    large = "x" * 4_000

    async def accepted_elsewhere() -> bool:
        return await sessions.lifecycle._sessions.swap_payload(handle, f'"{large}"', clock(), version=0)

    assert client.portal.call(accepted_elsewhere)  # type: ignore[union-attr]
    assert rewritten() == set()
    assert client.get("/me").json()["payload"] == large


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
