"""Native clients: tokens travel in headers, and a Bearer header makes cookies ignored, never a fallback."""

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import session_routes
from tests.asgi.apps import ACCESS, LIFETIME, REFRESH, Jar, application, cookies_set, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PATH = "/auth/session/refresh"


class App:
    """A native client: keeps the tokens of its answers."""

    def __init__(self, client: TestClient, clock: MovableClock) -> None:
        self.client = client
        self.clock = clock
        self.access = self.refresh_token = ""

    def login(self) -> None:
        response = self.client.post("/login", headers={"st-auth-mode": "header"})
        assert response.status_code == 200
        assert cookies_set(response) == {}
        self.take(response)

    def take(self, response: object) -> None:
        headers = response.headers  # type: ignore[attr-defined]
        self.access, self.refresh_token = headers["st-access-token"], headers["st-refresh-token"]

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.access}"}

    def refresh(self, token: str | None = None, **headers: str) -> object:
        bearer = {"authorization": f"Bearer {token or self.refresh_token}"}
        return self.client.post(PATH, headers={**bearer, **headers})


def native(open_client: OpenClient, clock: MovableClock, transport: str) -> App:
    sessions = new_manager(clock, token_transport=transport)
    return App(open_client(application(sessions, Mount("/auth", routes=session_routes()))), clock)


@pytest.fixture(params=["header", "any"])
def app(request: pytest.FixtureRequest, open_client: OpenClient, clock: MovableClock) -> App:
    return native(open_client, clock, request.param)


@pytest.fixture
def either(open_client: OpenClient, clock: MovableClock) -> App:
    return native(open_client, clock, "any")


def test_login_answers_with_both_tokens_in_headers(app: App) -> None:
    response = app.client.post("/login", headers={"st-auth-mode": "header"})
    assert response.headers["st-access-token"].count(".") == 2
    assert response.headers["st-refresh-token"]
    assert response.headers["cache-control"] == "no-store"
    assert cookies_set(response) == {}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_the_session(app: App, scheme: str) -> None:
    app.login()
    response = app.client.get("/me", headers={"authorization": f"{scheme} {app.access}"})
    assert (response.status_code, response.json()["user"]) == (200, "alice")
    assert "Authorization" in response.headers["vary"]
    assert "st-access-token" not in response.headers


def test_a_bearer_token_needs_no_csrf_check(app: App) -> None:
    app.login()
    assert app.client.post("/me", headers={**app.bearer, "sec-fetch-site": "cross-site"}).status_code == 200


def test_basic_credentials_are_no_token(app: App) -> None:
    app.login()
    response = app.client.get("/me", headers={"authorization": f"Basic {app.access}"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthorised")


def test_an_expired_bearer_token_asks_for_a_refresh(app: App) -> None:
    app.login()
    app.clock.advance(LIFETIME)
    response = app.client.get("/me", headers=app.bearer)
    assert (response.status_code, response.json()["code"]) == (401, "try_refresh_token")
    assert "st-access-token" not in response.headers


def test_the_refresh_token_as_bearer_refreshes(app: App) -> None:
    app.login()
    old = app.access
    app.clock.advance(LIFETIME)
    response = app.refresh()
    assert response.status_code == 200  # type: ignore[attr-defined]
    assert cookies_set(response) == {}
    app.take(response)
    assert app.access != old
    assert app.client.get("/me", headers=app.bearer).status_code == 200


def test_a_refresh_token_is_no_access_token_nor_the_reverse(app: App) -> None:
    app.login()
    as_access = app.client.get("/me", headers={"authorization": f"Bearer {app.refresh_token}"})
    assert as_access.json()["code"] == "try_refresh_token"
    as_refresh = app.refresh(app.access)
    assert as_refresh.json()["code"] == "unauthorised"  # type: ignore[attr-defined]


def test_logout_clears_the_headers(app: App) -> None:
    app.login()
    response = app.client.post("/logout", headers=app.bearer)
    assert (response.headers["st-access-token"], response.headers["st-refresh-token"]) == ("", "")
    assert cookies_set(response) == {}
    assert app.client.get("/me", headers=app.bearer).json()["code"] == "unauthorised"


def test_sign_out_works_with_an_expired_token(app: App) -> None:
    app.login()
    app.clock.advance(LIFETIME)
    assert app.client.post("/auth/signout", headers=app.bearer).status_code == 200
    assert app.refresh().json()["code"] == "unauthorised"  # type: ignore[attr-defined]


def test_a_late_parent_gets_the_marker_in_a_header(app: App) -> None:
    app.login()
    old = app.refresh_token
    for _ in range(2):
        app.clock.advance(LIFETIME)
        app.take(app.refresh())
    response = app.refresh(old)
    assert response.json()["code"] == "already_rotated"  # type: ignore[attr-defined]
    assert cookies_set(response) == {}
    marker = response.headers["st-retry-marker"]  # type: ignore[attr-defined]
    again = app.refresh(old, **{"st-retry-marker": marker})
    assert again.json()["code"] == "token_theft_detected"  # type: ignore[attr-defined]


def test_the_success_after_a_marker_clears_it(app: App) -> None:
    app.login()
    old = app.refresh_token
    for _ in range(2):
        app.clock.advance(LIFETIME)
        app.take(app.refresh())
    marker = app.refresh(old).headers["st-retry-marker"]  # type: ignore[attr-defined]
    response = app.refresh(**{"st-retry-marker": marker})
    assert response.status_code == 200  # type: ignore[attr-defined]
    assert response.headers["st-retry-marker"] == ""  # type: ignore[attr-defined]


def test_an_anonymous_request_is_told_to_clear_nothing(app: App) -> None:
    response = app.client.get("/me")
    assert (response.status_code, response.json()["code"]) == (401, "unauthorised")
    assert "st-access-token" not in response.headers


def test_header_transport_knows_no_cookies(open_client: OpenClient, clock: MovableClock) -> None:
    app = native(open_client, clock, "header")
    app.login()
    jar = Jar({ACCESS: app.access, REFRESH: app.refresh_token})
    assert app.client.get("/me", headers=jar.header).status_code == 401
    assert app.client.post(PATH, headers=jar.header).status_code == 401


def test_cookie_transport_knows_no_bearer_token(open_client: OpenClient, clock: MovableClock) -> None:
    app = native(open_client, clock, "cookie")
    jar = Jar().take(app.client.post("/login"))
    app.client.cookies.clear()
    assert app.client.get("/me", headers={"authorization": f"Bearer {jar.cookies[ACCESS]}"}).status_code == 401


def test_with_any_a_browser_gets_cookies(either: App) -> None:
    response = either.client.post("/login")
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert "st-access-token" not in response.headers
    assert either.client.get("/me").status_code == 200


def test_with_any_a_token_of_ours_never_falls_back_to_cookies(either: App) -> None:
    either.login()
    either.client.post("/login")
    header = either.access.partition(".")[0]
    for worthless in (f"{header}.e30.x", f"{header}.", either.access[:-4], either.refresh_token[:-4] + "AAAA"):
        response = either.client.get("/me", headers={"authorization": f"Bearer {worthless}"})
        assert (response.status_code, cookies_set(response)) == (401, {}), worthless
    assert either.client.get("/me").status_code == 200


FOREIGN = [
    "",
    "garbage",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "eyJhbGciOiJub25lIn0.e30.",
    "x" * 5000,
    "\xff",
]
"""Bearer tokens of other services: of a gateway, of an API that the page calls too."""


@pytest.mark.parametrize("token", FOREIGN, ids=range(len(FOREIGN)))
def test_with_any_another_services_token_does_not_hide_the_cookies(either: App, token: str) -> None:
    either.client.post("/login")
    foreign = {b"authorization": b"Bearer " + token.encode("latin-1")}
    assert either.client.get("/me", headers=foreign).status_code == 200
    either.clock.advance(LIFETIME)
    refreshed = either.client.get("/me", headers=foreign)
    assert refreshed.status_code == 200
    assert cookies_set(refreshed).keys() == {ACCESS, REFRESH}
    assert "st-access-token" not in refreshed.headers
    refreshed = either.client.post(PATH, headers=foreign)
    assert (refreshed.status_code, set(cookies_set(refreshed))) == (200, {ACCESS, REFRESH})
    assert cookies_set(either.client.post("/login", headers=foreign)).keys() == {ACCESS, REFRESH}
    out = either.client.post("/auth/signout", headers=foreign)
    assert (out.status_code, set(cookies_set(out).values())) == (200, {""})
    assert either.client.get("/me", headers=foreign).status_code == 401


@pytest.mark.parametrize("token", FOREIGN, ids=range(len(FOREIGN)))
def test_with_any_another_services_token_exempts_no_cookies_from_the_csrf_check(either: App, token: str) -> None:
    either.client.post("/login")
    hostile = {b"authorization": b"Bearer " + token.encode("latin-1"), b"sec-fetch-site": b"cross-site"}
    for path in ("/me", "/login", "/auth/signout", PATH, "/auth/sessions/revoke-others"):
        response = either.client.post(path, headers=hostile)
        assert (response.json()["code"], cookies_set(response)) == ("csrf_rejected", {}), path


def test_without_cookies_a_worthless_token_asks_for_a_refresh(app: App) -> None:
    """So that a client whose token was damaged refreshes."""
    for token in FOREIGN:
        headers = {b"authorization": b"Bearer " + token.encode("latin-1")}
        assert app.client.get("/me", headers=headers).json()["code"] == "try_refresh_token"


def test_with_any_a_bearer_header_makes_cookies_ignored(either: App) -> None:
    either.login()
    either.client.post("/login?user=bob")
    assert either.client.get("/me").json()["user"] == "bob"
    assert either.client.get("/me", headers=either.bearer).json()["user"] == "alice"
    assert cookies_set(either.client.post("/logout", headers=either.bearer)) == {}
    assert either.client.get("/me").json()["user"] == "bob"


def test_with_any_another_sites_page_cannot_use_cookies_by_adding_basic_credentials(either: App) -> None:
    either.client.post("/login")
    headers = {"authorization": "Basic YTpi", "sec-fetch-site": "cross-site"}
    assert either.client.post("/me", headers=headers).json()["code"] == "csrf_rejected"
