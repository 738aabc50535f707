"""The middleware refreshes by itself: what each verdict means for an ordinary request."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, get_session
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    CLEARED,
    LIFETIME,
    MARKER,
    REFRESH,
    Jar,
    application,
    cookies_set,
    new_manager,
    parsed_cookies,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PAIR = {ACCESS, REFRESH}


class Browser:
    """A client without a jar of its own, and the clock to move between its requests."""

    def __init__(self, open_client: OpenClient, clock: MovableClock, sessions: SessionManager, *routes: Route) -> None:
        self.client = open_client(application(sessions, *routes))
        self.clock = clock

    def login(self) -> Jar:
        return Jar().take(self.client.post("/login", headers={"cookie": "none=1"}))

    def get(self, jar: Jar, path: str = "/me", **headers: str) -> httpx2.Response:
        response: httpx2.Response = self.client.get(path, headers={"cookie": "", **jar.header, **headers})
        return response

    def later(self, jar: Jar, seconds: float = LIFETIME) -> httpx2.Response:
        """The next request after the access token has expired; the jar takes what it answers."""
        self.clock.advance(seconds)
        response = self.get(jar)
        jar.take(response)
        return response


@pytest.fixture
def browser(open_client: OpenClient, clock: MovableClock, sessions: SessionManager) -> Browser:
    return Browser(open_client, clock, sessions)


def test_an_expired_access_token_is_refreshed_by_the_way(browser: Browser) -> None:
    jar = browser.login()
    before = jar.copy()
    response = browser.later(jar)
    assert (response.status_code, response.json()["user"]) == (200, "alice")
    assert cookies_set(response).keys() == PAIR
    assert not before.cookies.items() & jar.cookies.items()


def test_the_next_request_after_a_refresh_sets_nothing(browser: Browser) -> None:
    jar = browser.login()
    browser.later(jar)
    assert cookies_set(browser.get(jar)) == {}


def test_a_missing_access_cookie_is_refreshed_as_well(browser: Browser) -> None:
    response = browser.get(browser.login().without(ACCESS))
    assert response.status_code == 200
    assert cookies_set(response).keys() == PAIR


def test_a_lost_answer_costs_nothing(browser: Browser) -> None:
    jar = browser.login()
    browser.clock.advance(LIFETIME)
    browser.get(jar)  # the answer is lost
    assert browser.later(jar, 0).status_code == 200
    assert browser.later(jar).status_code == 200


def test_a_sibling_that_another_tab_overtook_is_served(browser: Browser) -> None:
    jar = browser.login()
    browser.clock.advance(LIFETIME)
    one, two = (jar.copy().take(browser.get(jar)) for _ in range(2))
    assert browser.later(one).status_code == 200
    response = browser.later(two, 0)
    assert response.status_code == 200
    assert cookies_set(response).keys() == PAIR


def test_a_child_of_a_sibling_goes_on(browser: Browser) -> None:
    jar = browser.login()
    browser.clock.advance(LIFETIME)
    one, two = (jar.copy().take(browser.get(jar)) for _ in range(2))
    browser.later(one)
    browser.later(two, 0)
    assert browser.later(two).status_code == 200


def test_a_fork_that_lasts_is_theft(browser: Browser) -> None:
    jar = browser.login()
    stolen = jar.copy()
    browser.later(jar)
    assert browser.later(stolen, 190).status_code == 200  # issued further apart than sibling_window
    assert browser.later(jar).status_code == 200
    response = browser.later(stolen, 0)
    assert (response.status_code, response.json()["code"]) == (401, "token_theft_detected")
    assert cookies_set(response) == CLEARED


def left_behind(browser: Browser) -> tuple[Jar, Jar]:
    """A jar that is up to date, and one that still holds the parent of what was just promoted."""
    jar = browser.login()
    old = jar.copy()
    browser.later(jar)
    browser.later(jar)
    return jar, old


def test_a_late_parent_is_served_without_tokens_and_marked(browser: Browser) -> None:
    _, old = left_behind(browser)
    response = browser.get(old)
    assert (response.status_code, response.json()["user"]) == (200, "alice")
    assert cookies_set(response).keys() == {MARKER}
    [header] = response.headers.get_list("set-cookie")
    assert "; Path=/;" in header
    assert header.endswith("Max-Age=150; HttpOnly; Secure; SameSite=Lax")


def test_a_late_parent_that_was_marked_is_theft(browser: Browser) -> None:
    current, old = left_behind(browser)
    old.take(browser.get(old))
    response = browser.get(old)
    assert (response.status_code, response.json()["code"]) == (401, "token_theft_detected")
    assert cookies_set(response) == CLEARED
    assert browser.get(current).status_code == 401


def test_a_marked_jar_that_has_the_new_tokens_meanwhile_is_welcome_and_unmarked(browser: Browser) -> None:
    current, old = left_behind(browser)
    old.take(browser.get(old))
    old.cookies |= current.cookies  # the other tab's answer arrives
    response = browser.later(old)
    assert response.status_code == 200
    assert cookies_set(response).keys() == {*PAIR, MARKER}
    assert cookies_set(response)[MARKER] == ""


def test_a_parent_that_comes_later_than_the_window_is_theft(browser: Browser) -> None:
    _, old = left_behind(browser)
    response = browser.later(old, 121)
    assert response.json()["code"] == "token_theft_detected"


def test_a_late_parent_gets_no_access_token_by_changing_its_payload(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def change(request: Request) -> Response:
        await (await get_session(request)).update_jwt_payload({"changed": True})
        return JSONResponse({})

    browser = Browser(open_client, clock, sessions, Route("/change", change))
    _, old = left_behind(browser)
    assert cookies_set(browser.get(old, "/change")).keys() == {MARKER}


def test_a_response_later_than_30_seconds_sets_no_session_cookie(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def slow(request: Request) -> Response:
        await get_session(request)
        clock.advance(30.001)
        return JSONResponse({})

    browser = Browser(open_client, clock, sessions, Route("/slow", slow))
    jar = browser.login()
    clock.advance(LIFETIME)
    response = browser.get(jar, "/slow")
    assert response.status_code == 200
    assert cookies_set(response) == {}
    assert browser.get(jar).status_code == 200


def test_a_response_after_30_seconds_sets_them_still(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def slow(request: Request) -> Response:
        await get_session(request)
        clock.advance(30)
        return JSONResponse({})

    browser = Browser(open_client, clock, sessions, Route("/slow", slow))
    jar = browser.login()
    clock.advance(LIFETIME)
    assert cookies_set(browser.get(jar, "/slow")).keys() == PAIR


def test_once_the_response_has_started_refresh_authenticates_and_issues_nothing(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[str]:
            yield "user "
            yield (await get_session(request)).user_id

        return StreamingResponse(chunks())

    browser = Browser(open_client, clock, sessions, Route("/stream", stream))
    jar = browser.login()
    browser.later(jar)
    clock.advance(LIFETIME)
    response = browser.get(jar, "/stream")
    assert response.text == "user alice"
    assert cookies_set(response) == {}
    assert browser.client.portal is not None
    [record] = browser.client.portal.call(sessions.list_sessions_for_user, "alice")
    assert record.last_active_at.timestamp() * 1000 < clock()  # who asks so late extends nothing

    async def generation() -> int:
        row = await sessions.lifecycle._sessions.find(record.session_handle)
        assert row is not None
        return row.gen

    assert browser.client.portal.call(generation) == 1  # its token was promoted: it has arrived


def test_a_long_stream_is_no_thief(open_client: OpenClient, clock: MovableClock, sessions: SessionManager) -> None:
    jar = Jar()

    async def stream(request: Request) -> Response:
        await get_session(request)

        async def chunks() -> AsyncIterator[str]:
            yield "users:"
            for _ in range(3):
                clock.advance(LIFETIME)
                async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE_URL) as other:
                    jar.take(await other.get("/me", headers=jar.header))
                yield " " + (await get_session(request)).user_id

        return StreamingResponse(chunks())

    app = application(sessions, Route("/stream", stream))
    client = open_client(app)
    jar.take(client.post("/login"))
    assert client.get("/stream", headers=jar.header).text == "users: alice alice alice"


def test_a_websocket_sets_the_new_cookies_when_it_is_accepted(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    client.post("/login")
    clock.advance(LIFETIME)
    with client.websocket_connect("wss://testserver/socket", headers={"origin": BASE_URL}) as websocket:
        assert websocket.receive_text() == "alice"
        sent: list[tuple[bytes, bytes]] = websocket.extra_headers  # type: ignore[assignment]  # annotated as None
        headers = [value.decode() for name, value in sent if name == b"set-cookie"]
    assert parsed_cookies(headers).keys() == PAIR


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 401),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 401),
        ({"origin": "https://evil.example"}, 401),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 200),
    ],
)
def test_another_sites_subresource_never_refreshes(browser: Browser, headers: dict[str, str], status: int) -> None:
    jar = browser.login()
    browser.clock.advance(LIFETIME)
    response = browser.get(jar, **headers)
    assert response.status_code == status
    if status == 401:
        assert response.json()["code"] == "try_refresh_token"
        assert cookies_set(response) == {}


def test_the_idle_timeout_ends_the_session_and_clears_the_cookies(browser: Browser) -> None:
    jar = browser.login()
    response = browser.later(jar, 14 * 86_400)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorised")
    assert cookies_set(response) == CLEARED


def test_no_refresh_moves_the_absolute_timeout(browser: Browser) -> None:
    jar = browser.login()
    for _ in range(9):
        assert browser.later(jar, 11 * 86_400).status_code == 200
    assert browser.later(jar, 86_400 - 1).status_code == 200
    assert browser.get(jar).status_code == 200
    assert browser.later(jar, 1).status_code == 401


def test_a_planted_refresh_cookie_is_refused_without_consequences(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, cookie_domain="testserver.local")
    client = open_client(application(sessions))
    access, refresh = "__Secure-sAccessToken", "__Secure-sRefreshToken"
    mine = Jar().take(client.post("/login?user=me"))
    client.cookies.clear()
    planted = Jar().take(client.post("/login?user=attacker"))
    clock.advance(LIFETIME)
    only_planted = {access: mine.cookies[access], refresh: planted.cookies[refresh]}
    response = client.get("/me", headers=Jar(only_planted).header)
    assert response.status_code == 401
    assert cookies_set(response) == {}
    both = f"{access}={mine.cookies[access]}; {refresh}={planted.cookies[refresh]}; {refresh}={mine.cookies[refresh]}"
    assert client.get("/me", headers={"cookie": both}).json()["user"] == "me"
    unclear = f"{refresh}={planted.cookies[refresh]}; {refresh}={mine.cookies[refresh]}"
    response = client.get("/me", headers={"cookie": unclear})
    assert response.status_code == 401
    assert cookies_set(response) == {}


async def test_parallel_requests_of_one_jar_are_all_served_and_all_their_answers_work(
    clock: MovableClock, sessions: SessionManager
) -> None:
    app = application(sessions)
    async with sessions, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE_URL) as client:

        async def load(jar: Jar) -> httpx2.Response:
            client.cookies.clear()
            return await client.get("/me", headers=jar.header)

        jar = Jar().take(await client.post("/login"))
        for _ in range(3):
            clock.advance(LIFETIME)
            answers = await asyncio.gather(*(load(jar) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            jars = [jar.copy().take(answer) for answer in answers]
            clock.advance(LIFETIME)
            answers = await asyncio.gather(*(load(jar) for jar in jars))
            assert {answer.status_code for answer in answers} == {200}
            jar = jars[7].take(answers[7])


async def test_three_tabs_out_of_step_are_not_logged_out(clock: MovableClock, sessions: SessionManager) -> None:
    # Without twins the first would rotate twice while the slow one was still under way.
    app = application(sessions)
    async with sessions, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE_URL) as client:
        jar = Jar().take(await client.post("/login"))
        for _ in range(2):
            clock.advance(LIFETIME)
            client.cookies.clear()
            slow = jar.copy()
            jar.take(await client.get("/me", headers=jar.header))
            client.cookies.clear()
            jar.take(await client.get("/me", headers=jar.without(ACCESS).header))
            client.cookies.clear()
            assert (await client.get("/me", headers=slow.header)).status_code == 200


@pytest.mark.parametrize("rotations", [0, 1, 2, 3])
def test_a_request_that_asks_late_accuses_nobody_and_gets_no_token(
    rotations: int, open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    elsewhere: list[int] = []

    async def slow(request: Request) -> Response:
        for _ in range(rotations):  # other tabs go on while this request's body arrives
            elsewhere.append((await asyncio.to_thread(browser.later, tabs)).status_code)
        clock.advance(31)
        return JSONResponse({"user": (await get_session(request)).user_id})

    browser = Browser(open_client, clock, sessions, Route("/slow", slow))
    jar = browser.login()
    tabs = jar.copy()
    clock.advance(LIFETIME)
    response = browser.get(jar, "/slow")
    # Its parent was rotated at the second of the others' refreshes; from the third on it is too far behind.
    assert response.status_code == (200 if rotations < 3 else 401)
    assert not cookies_set(response).keys() & PAIR
    assert elsewhere == [200] * rotations
    assert browser.later(tabs).status_code == 200
