"""A login for as long as the browser is open, and one with timeouts of its own: what every later answer sets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from asgi_sessions import get_session, session_routes
from tests.asgi.apps import LIFETIME, application, manager_of, new_manager, set_cookie_headers
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PATH = "/auth/session/refresh"
ACCESS, REFRESH, ID, MARKER = "sAccessToken", "sRefreshToken", "sIdRefreshToken", "sRetryMarker"
PAIR = {ACCESS, REFRESH}
KINDS: dict[str, dict[str, Any]] = {
    "inline": {},
    "inline, first use": {"promote_on": "first_use"},
    "endpoint": {"refresh": "endpoint"},
    "supertokens": {"client_protocol": "supertokens"},
    "reference": {"client_protocol": "supertokens", "refresh": "endpoint", "promote_on": "first_use"},
}
SAID: dict[str, dict[str, Any]] = {
    "default": {},
    "not persistent": {"persistent": False},
    "half an hour": {"idle_timeout": timedelta(minutes=30)},
}


async def log_in(request: Request) -> Response:
    await manager_of(request).create_new_session(request, "alice", **SAID[request.query_params["as"]])
    return JSONResponse({})


async def change(request: Request) -> Response:
    await (await get_session(request)).update_jwt_payload({"at": request.query_params["at"]})
    return JSONResponse({})


class Browser:
    """A client with a jar that obeys paths, and what its last answer has set."""

    def __init__(self, open_client: OpenClient, clock: MovableClock, settings: Mapping[str, Any]) -> None:
        self.clock = clock
        self.sessions = new_manager(clock, cookie_prefix="none", **settings)
        more = Route("/log-in", log_in, methods=["POST"]), Route("/change", change)
        self.client: TestClient = open_client(
            application(self.sessions, *more, Mount("/auth", routes=session_routes()))
        )
        self.with_id = {ID} if self.sessions.settings.speaks_supertokens else set()

    def log_in(self, said: str) -> dict[str, int | None]:
        return ages_of(self.client.post(f"/log-in?as={said}"))

    def refreshed(self) -> dict[str, int | None]:
        """Of the pair, once the access token has expired."""
        self.clock.advance(LIFETIME)
        if self.sessions.settings.refresh == "inline":
            return ages_of(self.client.get("/me"))
        return ages_of(self.client.post(PATH))


def ages_of(response: httpx2.Response) -> dict[str, int | None]:
    """Of each cookie that is set, and not cleared: its Max-Age, None for one that ends with the browser."""
    assert response.status_code == 200, response.text
    found: dict[str, int | None] = {}
    for header in set_cookie_headers(response):
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        ages = [int(each.removeprefix("Max-Age=")) for each in attributes if each.startswith("Max-Age")]
        assert len(ages) == len([each for each in attributes if each.startswith("Expires")])
        if value:
            found[name] = ages[0] if ages else None
        else:
            assert ages == [0]
    return found


@pytest.fixture(params=KINDS)
def browser(request: pytest.FixtureRequest, open_client: OpenClient, clock: MovableClock) -> Browser:
    return Browser(open_client, clock, KINDS[request.param])


@pytest.mark.parametrize(
    ("said", "age"), [("default", 14 * 86_400), ("not persistent", None), ("half an hour", 30 * 60)]
)
def test_every_answer_sets_what_the_login_said(said: str, age: int | None, browser: Browser) -> None:
    pair = dict.fromkeys(PAIR | browser.with_id, age)
    assert browser.log_in(said) == pair
    assert ages_of(browser.client.get("/change?at=login")) == {ACCESS: age}
    for at in range(3):
        assert browser.refreshed() == pair
        # With the reference library's protocol a token is rewritten at its first use.
        assert ages_of(browser.client.get("/me")).items() <= {ACCESS: age}.items()
        assert ages_of(browser.client.get(f"/change?at={at}")) == {ACCESS: age}
    browser.clock.advance(LIFETIME)
    if browser.sessions.settings.refresh == "inline":
        assert ages_of(browser.client.get("/change?at=refresh")) == pair


@pytest.mark.parametrize(
    ("said", "seconds"), [("default", 14 * 86_400), ("not persistent", 8 * 3600), ("half an hour", 30 * 60)]
)
def test_a_session_ends_when_it_was_idle_for_as_long_as_the_login_said(
    said: str, seconds: int, browser: Browser
) -> None:
    browser.log_in(said)
    browser.refreshed()
    assert browser.client.get("/me").status_code == 200
    for idle in (seconds - 1, seconds):
        browser.clock.advance(idle)  # the jar has another clock, so that it goes on to send its cookies
        if browser.sessions.settings.refresh == "inline":
            response = browser.client.get("/me")
        else:
            response = browser.client.post(PATH)
        assert response.status_code == (200 if idle < seconds else 401)


def test_the_next_login_in_the_same_browser_says_it_anew(browser: Browser) -> None:
    names = PAIR | browser.with_id
    for said, age in (("not persistent", None), ("default", 14 * 86_400), ("not persistent", None)):
        assert browser.log_in(said) == dict.fromkeys(names, age)
        assert browser.refreshed() == dict.fromkeys(names, age)


@pytest.mark.parametrize(("said", "age"), [("default", 150), ("not persistent", None)])
@pytest.mark.parametrize("refresh", ["inline", "endpoint"])
def test_the_retry_marker_lasts_no_longer_than_the_browser_either(
    refresh: str, said: str, age: int | None, open_client: OpenClient, clock: MovableClock
) -> None:
    browser = Browser(open_client, clock, {"refresh": refresh})
    browser.log_in(said)
    old = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    browser.refreshed()
    browser.refreshed()
    browser.client.cookies.clear()
    late = browser.client.request(*(("GET", "/me") if refresh == "inline" else ("POST", PATH)), headers={"cookie": old})
    [header] = set_cookie_headers(late)
    assert header.startswith(f"{MARKER}=")
    assert ("Max-Age" in header, "Expires" in header) == (age is not None, age is not None)
    assert age is None or f"; Max-Age={age};" in header


@pytest.mark.parametrize("by", ["/auth/signout", "/logout"])
def test_a_logout_clears_the_cookies_as_ever(by: str, browser: Browser) -> None:
    browser.log_in("not persistent")
    headers = set_cookie_headers(browser.client.post(by))
    assert {header.partition("=")[0] for header in headers} == PAIR | browser.with_id
    assert all("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" in header for header in headers)
    assert not browser.client.cookies


@pytest.mark.parametrize(("said", "seconds"), [("not persistent", 8 * 3600), ("half an hour", 30 * 60)])
def test_tokens_in_headers_are_good_for_as_long_as_the_login_said(
    said: str, seconds: int, open_client: OpenClient, clock: MovableClock
) -> None:
    client = Browser(open_client, clock, {"token_transport": "header"}).client
    response = client.post(f"/log-in?as={said}")
    for idle, status in ((LIFETIME, 200), (seconds - 1, 200), (seconds, 401)):
        clock.advance(idle)
        response = client.post(PATH, headers={"authorization": f"Bearer {response.headers['st-refresh-token']}"})
        assert response.status_code == status
        assert not set_cookie_headers(response)
