"""refresh="endpoint": the client is told to refresh, and the refresh path does it."""

from typing import Any

import httpx2
import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import session_routes
from tests.asgi.apps import LIFETIME, Jar, application, cookies_set, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

ACCESS, REFRESH, MARKER = "__Host-sAccessToken", "__Secure-sRefreshToken", "__Secure-sRetryMarker"
PATH = "/auth/session/refresh"


class Client:
    """Sends the refresh cookie to the refresh path only, as a browser does."""

    def __init__(self, client: TestClient, clock: MovableClock) -> None:
        self.client = client
        self.clock = clock

    def login(self) -> Jar:
        self.client.cookies.clear()
        return Jar().take(self.client.post("/login"))

    def get(self, jar: Jar) -> httpx2.Response:
        response: httpx2.Response = self.client.get(
            "/me", headers={"cookie": "", **jar.without(REFRESH, MARKER).header}
        )
        return response

    def refresh(self, jar: Jar, **headers: str) -> httpx2.Response:
        response: httpx2.Response = self.client.post(PATH, headers={"cookie": "", **jar.header, **headers})
        return response

    def refreshed_later(self, jar: Jar, seconds: float = LIFETIME) -> httpx2.Response:
        self.clock.advance(seconds)
        response = self.refresh(jar)
        jar.take(response)
        return response


@pytest.fixture
def client(open_client: OpenClient, clock: MovableClock) -> Client:
    sessions = new_manager(clock, refresh="endpoint")
    return Client(open_client(application(sessions, Mount("/auth", routes=session_routes()))), clock)


def error_of(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json()["code"]


def test_an_expired_access_token_asks_for_a_refresh_and_keeps_the_cookies(client: Client) -> None:
    jar = client.login()
    client.clock.advance(LIFETIME)
    response = client.get(jar)
    assert error_of(response) == (401, "try_refresh_token")
    assert cookies_set(response) == {}


def test_a_bad_access_token_asks_for_a_refresh_and_keeps_the_cookies(client: Client) -> None:
    response = client.get(Jar({ACCESS: "garbage"}))
    assert error_of(response) == (401, "try_refresh_token")
    assert cookies_set(response) == {}


def test_without_any_cookie_nobody_is_logged_in(client: Client) -> None:
    assert error_of(client.get(Jar())) == (401, "unauthorised")


def test_the_refresh_path_answers_with_a_new_pair(client: Client) -> None:
    jar = client.login()
    before = jar.copy()
    response = client.refreshed_later(jar)
    assert (response.status_code, response.json()["user_id"]) == (200, "alice")
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert not before.cookies.items() & jar.cookies.items()
    assert client.get(jar).status_code == 200


def test_the_refresh_cookie_goes_to_the_refresh_path_only(client: Client) -> None:
    headers = client.client.post("/login").headers.get_list("set-cookie")
    assert [header for header in headers if header.startswith(REFRESH) and f"; Path={PATH};" in header]


def test_refreshing_without_the_access_cookie_works(client: Client) -> None:
    jar = client.login()
    assert client.refresh(jar.without(ACCESS)).status_code == 200


def test_an_anonymous_refresh_is_a_clean_401(client: Client) -> None:
    response = client.refresh(Jar())
    assert error_of(response) == (401, "unauthorised")
    assert cookies_set(response) == {}


def test_a_refresh_from_another_site_is_refused_and_clears_nothing(client: Client) -> None:
    response = client.refresh(client.login(), origin="https://evil.example")
    assert error_of(response) == (403, "csrf_rejected")
    assert cookies_set(response) == {}


def test_a_late_parent_gets_409_once_and_then_theft(client: Client) -> None:
    jar = client.login()
    old = jar.copy()
    client.refreshed_later(jar)
    client.refreshed_later(jar)
    response = client.refresh(old)
    assert error_of(response) == (409, "already_rotated")
    assert cookies_set(response).keys() == {MARKER}
    [header] = response.headers.get_list("set-cookie")
    assert f"; Path={PATH};" in header
    old.take(response)
    response = client.refresh(old)
    assert error_of(response) == (401, "token_theft_detected")
    assert cookies_set(response) == {ACCESS: "", REFRESH: ""}


@pytest.mark.parametrize(("setting", "more"), [("1s", 30), ("30s", 30), ("10m", 600)])
def test_a_marker_outlives_the_window_by_what_a_workers_clock_may_differ(
    setting: str, more: int, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, refresh="endpoint", max_clock_difference=setting)
    client = Client(open_client(application(sessions, Mount("/auth", routes=session_routes()))), clock)
    jar = client.login()
    old = jar.copy()
    client.refreshed_later(jar)
    client.refreshed_later(jar)
    response = client.refresh(old)
    [header] = response.headers.get_list("set-cookie")
    assert f"; Max-Age={120 + more};" in header
    assert client.client.portal is not None
    keys = client.client.portal.call(lambda: sessions.lifecycle.keys)
    marker = cookies_set(response)[MARKER]
    token = keys.refresh_tokens.decode(old.cookies[REFRESH])
    assert token is not None
    until = clock() + (120 + more) * 1000
    assert keys.retry_markers.matches(marker, token.handle, token.generation, until)
    assert not keys.retry_markers.matches(marker, token.handle, token.generation, until + 1)


def test_the_success_after_a_409_clears_the_marker(client: Client) -> None:
    jar = client.login()
    old = jar.copy()
    client.refreshed_later(jar)
    client.refreshed_later(jar)
    old.take(client.refresh(old))
    old.cookies |= jar.cookies
    response = client.refresh(old)
    assert response.status_code == 200
    assert cookies_set(response)[MARKER] == ""
    assert client.refresh(old.take(response)).status_code == 200


def test_a_marker_of_another_session_does_not_count(client: Client) -> None:
    markers: list[str] = []
    for _ in range(2):
        jar = client.login()
        old = jar.copy()
        client.refreshed_later(jar)
        client.refreshed_later(jar)
        marker = markers[0] if markers else "forged"
        response = client.refresh(Jar({**old.cookies, MARKER: marker}))
        assert error_of(response) == (409, "already_rotated")
        markers.append(cookies_set(response)[MARKER])


def test_theft_ends_the_victims_session_too(client: Client) -> None:
    jar = client.login()
    stolen = jar.copy()
    for _ in range(3):
        client.refreshed_later(jar)
    assert error_of(client.refresh(stolen)) == (401, "token_theft_detected")
    assert error_of(client.get(jar)) == (401, "unauthorised")


def test_a_revoked_session_does_not_refresh(client: Client) -> None:
    jar = client.login()
    client.client.post("/logout", headers=jar.without(REFRESH).header)
    response = client.refresh(jar)
    assert error_of(response) == (401, "unauthorised")
    assert cookies_set(response) == {ACCESS: "", REFRESH: ""}


def test_the_expired_status_is_the_settings(open_client: OpenClient, clock: MovableClock) -> None:
    client = Client(open_client(application(new_manager(clock, refresh="endpoint", expired_status_code=440))), clock)
    jar = client.login()
    clock.advance(LIFETIME)
    response = client.get(jar)
    assert error_of(response) == (440, "try_refresh_token")
    assert "www-authenticate" not in response.headers
