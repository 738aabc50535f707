"""A page that polls does not keep the session alive of somebody who has gone; somebody who is there stays logged in."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import get_session, require_session, session_routes
from asgi_sessions.asgi.background import is_background
from tests.asgi.apps import BASE_URL, Jar, application, described, manager_of, new_manager, parsed_cookies
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock
from tests.security.statements import counted

MINUTE = 60
IDLE = 15 * MINUTE
ACCESS_LIFETIME = 5 * MINUTE
MODES: dict[str, dict[str, Any]] = {
    "inline": {},
    "inline, first use": {"promote_on": "first_use"},
    "endpoint": {"refresh": "endpoint"},
    "endpoint, first use": {"refresh": "endpoint", "promote_on": "first_use"},
    "reference": {
        "refresh": "endpoint",
        "csrf": "token",
        "promote_on": "first_use",
        "late_parent_window": 0,
        "min_refresh_age": 0,
        "client_protocol": "supertokens",
        "cookie_prefix": "",
        "revocation_check": "none",
    },
}
BACKGROUND = {"x-background-request": "1"}
REFRESH = "/auth/session/refresh"

without_extending = require_session(extend=False)
always_extending = require_session(extend=True)


async def poll(request: Request) -> Response:
    return JSONResponse(described(await without_extending(request)))


async def poll_and_use(request: Request) -> Response:
    await without_extending(request)
    return JSONResponse(described(await get_session(request)))


async def socket(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    await websocket.close()


async def socket_of_somebody(websocket: WebSocket) -> None:
    await always_extending(websocket)
    await websocket.accept()
    await websocket.close()


async def chat(websocket: WebSocket) -> None:
    """Each message is a use; ``?news`` asks as often, and is none."""
    extend = None if websocket.url.query else True
    await manager_of(websocket).get_session(websocket, extend=extend)
    await websocket.accept()
    async for text in websocket.iter_text():
        await manager_of(websocket).get_session(websocket, extend=extend)
        await websocket.send_text(text)


class Page:
    """A page in a browser. What it does by itself it says when it has to refresh for that, as every client must."""

    def __init__(self, client: TestClient, clock: MovableClock) -> None:
        self.client = client
        self.clock = clock
        self.jar = Jar()
        self.headers: dict[str, str] = {}
        self._take(client.post("/login", headers={"cookie": "none=1"}))

    def ask(self, path: str, headers: Mapping[str, str] = {}, *, background: bool = False) -> int:
        """Ask, and refresh if the answer says so; the status in the end."""
        send = self._socket if path.startswith("/socket") else self._get
        status, code = send(path, headers)
        if code == "try_refresh_token":
            refreshed = self.refresh(background=background)
            assert refreshed.status_code != 409
            if refreshed.status_code == 200:
                status, code = send(path, headers)
        assert code != "token_theft_detected"
        return status

    def use(self) -> int:
        return self.ask("/me")

    def refresh(self, *, background: bool = False) -> httpx2.Response:
        headers = BACKGROUND if background else {}
        return self._take(self.client.post(REFRESH, headers={"cookie": "", **self.jar.header, **headers}))

    def _get(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        sent = {"cookie": "", **self.jar.header, **self.headers, **headers}
        response = self._take(self.client.get(path, headers=sent))
        return response.status_code, response.json().get("code")

    def _socket(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        sent = {"cookie": "", "origin": BASE_URL, **self.jar.header, **headers}
        try:
            with self.client.websocket_connect(f"wss://testserver{path}", headers=sent) as opened:
                accepted: Any = opened.extra_headers
                cookies = [value.decode() for name, value in accepted or () if name == b"set-cookie"]
        except WebSocketDenialResponse as denial:
            self.jar.take(denial)
            return denial.status_code, denial.json().get("code")
        self.jar.cookies |= parsed_cookies(cookies)
        return 200, None

    def _take(self, response: httpx2.Response) -> httpx2.Response:
        self.jar.take(response)
        self.client.cookies.clear()
        if response.headers.get("anti-csrf"):
            self.headers["anti-csrf"] = response.headers["anti-csrf"]
        return response


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODES[request.param]


@pytest.fixture
def new_page(open_client: OpenClient, clock: MovableClock) -> Callable[..., Page]:
    def build(**settings: Any) -> Page:
        sessions = new_manager(clock, idle_timeout=IDLE, background_paths="/live", **settings)
        routes = [
            Mount("/auth", routes=session_routes()),
            Route("/poll", poll),
            Route("/poll-and-use", poll_and_use),
            Route("/live/news", me),
            WebSocketRoute("/socket", socket),
            WebSocketRoute("/socket-of-somebody", socket_of_somebody),
            WebSocketRoute("/chat", chat),
        ]
        return Page(open_client(application(sessions, *routes)), clock)

    return build


async def me(request: Request) -> Response:
    return JSONResponse(described(await get_session(request)))


WAYS: dict[str, Callable[[Page], int]] = {
    "extend=False": lambda page: page.ask("/poll", background=True),
    "a path": lambda page: page.ask("/live/news", background=True),
    "a header": lambda page: page.ask("/me", BACKGROUND, background=True),
    "an event stream": lambda page: page.ask("/me", {"accept": "text/event-stream"}, background=True),
    "a WebSocket": lambda page: page.ask("/socket", background=True),
    "how long is left": lambda page: page.ask("/auth/session", background=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_is_only_polled_ends_at_its_idle_timeout(
    way: str, mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    statuses = []
    for _ in range(22):
        clock.advance(40)
        statuses.append(WAYS[way](page))
    assert statuses == [200] * 22
    clock.advance(20)
    assert WAYS[way](page) == 401
    assert not any("Token" in name for name in page.jar.cookies)


@pytest.mark.parametrize("way", WAYS)
def test_who_uses_the_session_between_polls_stays_and_who_goes_does_not(
    way: str, mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    for minute in range(1, 45):
        clock.advance(MINUTE)
        assert WAYS[way](page) == 200
        if minute % 7 == 0:
            assert page.use() == 200
    for _ in range(13):  # the last use was in minute 42
        clock.advance(MINUTE)
        assert WAYS[way](page) in {200, 401}
    assert page.use() == 401


@pytest.mark.parametrize("seed", range(3))
def test_the_idle_timeout_is_never_late_and_never_earlier_than_promised(
    seed: int, mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    """As docs/rotation.md says: early by one and a half access token lifetimes at most."""
    chance = random.Random(seed)
    client = new_page(**mode).client
    for _ in range(3):
        page, used_at = Page(client, clock), clock()
        for _ in range(chance.randrange(20, 60)):
            clock.advance(chance.choice([1, 40, 40, MINUTE, 2 * MINUTE]))
            idle = (clock() - used_at) / 1000
            if idle < IDLE - 1.5 * ACCESS_LIFETIME and chance.random() < 0.3:
                assert page.use() == 200
                used_at = clock()
                continue
            status = WAYS[chance.choice(list(WAYS))](page)
            if status == 401:
                assert idle >= IDLE - 1.5 * ACCESS_LIFETIME
                break
            assert idle < IDLE


def test_of_several_questions_on_one_request_one_that_extends_counts(
    mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    for _ in range(20):
        clock.advance(MINUTE)
        assert page.ask("/poll-and-use") == 200


def test_a_websocket_extends_where_its_route_says_so(
    mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    for _ in range(20):
        clock.advance(MINUTE)
        assert page.ask("/socket-of-somebody") == 200


def test_each_message_on_an_open_socket_extends_where_its_route_says_so(
    mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    headers = {"cookie": "", "origin": BASE_URL, **page.jar.header}
    with page.client.websocket_connect("wss://testserver/chat", headers=headers) as opened:
        for _ in range(15):
            clock.advance(4 * MINUTE)
            opened.send_text("hello")
            assert opened.receive_text() == "hello"
            assert WAYS["how long is left"](page) == 200  # refreshes if it must, in the background
            assert IDLE - 1.5 * ACCESS_LIFETIME < left(page) <= IDLE
        clock.advance(IDLE)
        opened.send_text("hello")
        with pytest.raises(WebSocketDisconnect):
            opened.receive_text()
    assert page.use() == 401


def test_messages_that_do_not_extend_keep_no_session_alive(
    mode: dict[str, Any], new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page(**mode)
    headers = {"cookie": "", "origin": BASE_URL, **page.jar.header}
    with page.client.websocket_connect("wss://testserver/chat?news", headers=headers) as opened:
        for _ in range(7):
            clock.advance(2 * MINUTE)
            opened.send_text("hello")
            assert opened.receive_text() == "hello"
        clock.advance(MINUTE)
        opened.send_text("hello")
        with pytest.raises(WebSocketDisconnect):
            opened.receive_text()


def test_another_sites_image_keeps_no_session_alive(new_page: Callable[..., Page], clock: MovableClock) -> None:
    page = new_page(cookie_samesite="none")
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    for _ in range(14):
        clock.advance(MINUTE)
        assert WAYS["extend=False"](page) == 200
        assert page.ask("/me", image) == 200  # with the access token of the poll
    clock.advance(MINUTE)
    assert page.use() == 401


def left(page: Page) -> int:
    headers = {"cookie": "", **page.jar.header, **page.headers}
    response = page._take(page.client.get("/auth/session", headers=headers))
    seconds: int = response.json()["expires_in"]
    return seconds


def test_the_session_says_how_long_it_lasts_and_stay_signed_in_is_a_refresh(
    new_page: Callable[..., Page], clock: MovableClock
) -> None:
    page = new_page()
    assert left(page) == IDLE
    clock.advance(14 * MINUTE)
    assert left(page) == MINUTE
    clock.advance(30.5)
    assert left(page) == 29  # whole seconds, and never one too many
    assert page.refresh().status_code == 200
    assert left(page) == IDLE


def test_a_background_refresh_at_the_endpoint_moves_nothing(new_page: Callable[..., Page], clock: MovableClock) -> None:
    page = new_page(refresh="endpoint")
    for _ in range(3):
        clock.advance(4 * MINUTE)
        assert page.refresh(background=True).status_code == 200
    assert left(page) == 3 * MINUTE


def test_the_list_of_devices_shows_when_somebody_was_there(new_page: Callable[..., Page], clock: MovableClock) -> None:
    page = new_page()
    clock.advance(6 * MINUTE)
    assert page.use() == 200
    for _ in range(2):
        clock.advance(6 * MINUTE)
        assert WAYS["extend=False"](page) == 200
    (device,) = page.client.get("/auth/sessions", headers={**page.jar.header, **BACKGROUND}).json()
    assert device["last_active_at"] < device["expires_at"]
    assert left(page) == IDLE - 12 * MINUTE


@pytest.fixture
def polled(new_page: Callable[..., Page], clock: MovableClock) -> Page:
    """A page whose access token came of a background refresh."""
    page = new_page()
    clock.advance(ACCESS_LIFETIME)
    assert WAYS["extend=False"](page) == 200
    return page


def test_the_token_of_a_poll_costs_a_use_two_statements_and_then_none(polled: Page, clock: MovableClock) -> None:
    with counted() as statements:
        assert WAYS["extend=False"](polled) == 200
    assert statements == []
    with counted() as statements:
        assert polled.use() == 200
    assert [statement.split()[0] for statement in statements] == ["SELECT", "UPDATE"]
    clock.advance(ACCESS_LIFETIME / 2 - 1)
    with counted() as statements:
        assert polled.use() == 200
        assert WAYS["extend=False"](polled) == 200
    assert statements == []
    clock.advance(1)
    with counted() as statements:
        assert polled.use() == 200
    assert len(statements) in {1, 2}


def test_a_changed_payload_keeps_the_mark_of_the_poll(open_client: OpenClient, clock: MovableClock) -> None:
    async def change(request: Request) -> Response:
        await (await without_extending(request)).update_jwt_payload({"news": 1})
        return JSONResponse({})

    sessions = new_manager(clock, idle_timeout=IDLE)
    app = application(sessions, Route("/change", change), Route("/poll", poll))
    page = Page(open_client(app), clock)
    clock.advance(ACCESS_LIFETIME)
    assert page.ask("/poll") == 200
    assert page.ask("/change") == 200
    with counted() as statements:
        assert page.use() == 200
    assert [statement.split()[0] for statement in statements] == ["SELECT", "UPDATE"]


def scope(kind: str = "http", method: str = "GET", path: str = "/", **headers: str) -> dict[str, Any]:
    found = {
        "type": kind,
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    return found if kind == "websocket" else found | {"method": method}


@pytest.mark.parametrize(
    ("asked", "background"),
    [
        (scope(), False),
        (scope("websocket"), True),
        (scope(x_background_request="1"), True),
        (scope(method="POST", x_background_request="1"), True),
        (scope(x_background_request="0"), False),
        (scope(x_background_request=""), False),
        (scope(sec_purpose="prefetch;prerender"), True),
        (scope(sec_purpose="", x_moz="prefetch"), True),
        (scope(sec_purpose="other"), False),
        (scope(accept="text/event-stream"), True),
        (scope(accept="Text/Event-Stream; q=1"), True),
        (scope(accept="text/event-stream, application/json"), False),
        (scope(accept="*/*"), False),
        (scope(method="POST", accept="text/event-stream"), False),
        (scope(path="/live"), True),
        (scope(path="/live/news"), True),
        (scope(path="/lively"), False),
        (scope(path="/api/live"), False),
        (scope(path="/live/news") | {"root_path": "/app"}, False),
        (scope(path="/app/feed/1") | {"root_path": "/app"}, True),
        (scope(path="/feed/1") | {"root_path": "/app"}, True),
    ],
)
def test_which_requests_are_background_requests(asked: dict[str, Any], background: bool) -> None:
    assert is_background(asked, ("/live", "/app/feed")) is background
