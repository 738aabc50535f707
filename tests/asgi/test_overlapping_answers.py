"""Answers that overlap: a late one overwrites no newer one, whichever call made its tokens, on one worker and two."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionSettings, get_session
from tests.asgi.apps import ACCESS, BASE_URL, LIFETIME, REFRESH, Jar, application, cookies_set, parsed_cookies
from tests.asgi.connections import Socket
from tests.clocks import MovableClock

PAIR = {ACCESS, REFRESH}
LATE = 0.101
"""Seconds after which an answer is looked at again."""
TOO_LATE = 30.001
"""And after which it carries no tokens at all."""

Do = Callable[[SessionManager, Request], Awaitable[object]]


async def change_payload(_sessions: SessionManager, request: Request) -> None:
    await (await get_session(request)).update_jwt_payload({"role": request.query_params["role"]})


async def be_served(_sessions: SessionManager, request: Request) -> None:
    await get_session(request)


async def refresh(sessions: SessionManager, request: Request) -> None:
    await sessions.refresh_session(request)


async def log_in(sessions: SessionManager, request: Request) -> None:
    await sessions.create_new_session(request, "alice")


async def log_in_and_change_payload(sessions: SessionManager, request: Request) -> None:
    await (await sessions.create_new_session(request, "alice")).update_jwt_payload(1)


class Held:
    """An answer whose handler is done with the session, and waits."""

    def __init__(self) -> None:
        self.made, self.go = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[httpx2.Response]

    async def response(self) -> httpx2.Response:
        self.go.set()
        return await self.task


class Worker:
    """One process: a manager and an application whose answers can be held back."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions = sessions
        self.before_accept: Callable[[], Awaitable[None]]
        self.held: dict[str, Held] = {}
        routes = [
            Route(f"/slow/{do.__name__}", self._endpoint(do), methods=["POST"])
            for do in (change_payload, be_served, refresh, log_in, log_in_and_change_payload)
        ]
        app = application(sessions, *routes, WebSocketRoute("/socket", self._socket))
        self.app = app

    async def ask(self, path: str, jar: Jar, **headers: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:  # with no jar of its own
            return await client.post(path, headers=jar.header | headers)

    async def begin(self, do: Do, jar: Jar, query: str = "") -> Held:
        """Ask, and return when the handler has done its work."""
        held = Held()
        name = str(id(held))
        self.held[name] = held
        held.task = asyncio.create_task(self.ask(f"/slow/{do.__name__}?held={name}&{query}", jar))
        waiting = asyncio.create_task(held.made.wait())
        await asyncio.wait({waiting, held.task}, return_when=asyncio.FIRST_COMPLETED)
        assert held.made.is_set(), held.task.result().text
        return held

    def _endpoint(self, do: Do) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            held = self.held[request.query_params["held"]]
            await do(self.sessions, request)
            held.made.set()
            await held.go.wait()
            return JSONResponse({})

        return endpoint

    async def _socket(self, websocket: WebSocket) -> None:
        await (await get_session(websocket)).update_jwt_payload({"role": "of the socket"})
        await self.before_accept()
        await websocket.accept()


@asynccontextmanager
async def workers_on(url: str, clock: MovableClock, count: int, **settings: Any) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        workers = []
        for _ in range(count):
            values = {"database_url": url, "secret_key": "s" * 32, "purge_interval": 0, **settings}
            manager = SessionManager(SessionSettings(**values), clock=clock)
            workers.append(Worker(await stack.enter_async_context(manager)))
        yield workers


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
async def two(request: pytest.FixtureRequest, url: str, clock: MovableClock) -> AsyncIterator[tuple[Worker, Worker]]:
    """The workers that two overlapping requests reach, which may be one."""
    async with workers_on(url, clock, request.param) as workers:
        yield workers[0], workers[-1]


@pytest.fixture
async def worker(url: str, clock: MovableClock) -> AsyncIterator[Worker]:
    async with workers_on(url, clock, 1) as (only,):
        yield only


async def logged_in(worker: Worker, user: str = "alice") -> Jar:
    return Jar().take(await worker.ask(f"/login?user={user}", Jar()))


def role_in(jar: Jar) -> str:
    """What the jar's access token says."""
    body = jar.cookies[ACCESS].split(".")[1]
    claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    role: str = claims["payload"]["role"]
    return role


# -- an answer that comes too late

MADE: dict[str, tuple[Do, bool, set[str]]] = {
    "a change of the payload": (change_payload, False, {ACCESS}),
    "a change of the payload after a refresh": (change_payload, True, PAIR),
    "a refresh": (be_served, True, PAIR),
    "a refresh that was asked for": (refresh, False, PAIR),
    "a login": (log_in, False, PAIR),
    "a login with another payload": (log_in_and_change_payload, False, PAIR),
}
each_call = pytest.mark.parametrize(("do", "refreshing", "sets"), MADE.values(), ids=MADE)


async def begun(worker: Worker, clock: MovableClock, do: Do, refreshing: bool) -> tuple[Held, Jar]:
    jar = await logged_in(worker)
    if refreshing:
        clock.advance(LIFETIME)
    return await worker.begin(do, jar, "role=admin"), jar


async def sessions_of(worker: Worker) -> list[str]:
    return await worker.sessions.get_all_session_handles_for_user("alice")


@each_call
async def test_an_answer_carries_its_tokens(
    do: Do, refreshing: bool, sets: set[str], worker: Worker, clock: MovableClock
) -> None:
    held, _ = await begun(worker, clock, do, refreshing)
    assert cookies_set(await held.response()).keys() == sets


@each_call
async def test_a_slow_answer_carries_its_tokens_while_the_session_stands(
    do: Do, refreshing: bool, sets: set[str], worker: Worker, clock: MovableClock
) -> None:
    held, _ = await begun(worker, clock, do, refreshing)
    clock.advance(30)
    assert cookies_set(await held.response()).keys() == sets


@each_call
async def test_a_slow_answer_of_a_session_that_has_ended_carries_none(
    do: Do, refreshing: bool, sets: set[str], two: tuple[Worker, Worker], clock: MovableClock
) -> None:
    held, _ = await begun(two[0], clock, do, refreshing)
    assert await two[1].sessions.revoke_all_sessions_for_user("alice") == 1
    clock.advance(LATE)
    assert cookies_set(await held.response()) == {}


@each_call
async def test_after_half_a_minute_an_answer_carries_none(
    do: Do, refreshing: bool, sets: set[str], worker: Worker, clock: MovableClock
) -> None:
    held, _ = await begun(worker, clock, do, refreshing)
    clock.advance(TOO_LATE)
    assert cookies_set(await held.response()) == {}


@pytest.mark.parametrize("do", [log_in, log_in_and_change_payload])
async def test_a_session_whose_login_was_answered_too_late_is_nobodys_and_ends(
    do: Do, worker: Worker, clock: MovableClock
) -> None:
    held = await worker.begin(do, Jar())
    clock.advance(TOO_LATE)
    await held.response()
    await worker.sessions.lifecycle.close()
    assert await sessions_of(worker) == []


async def test_a_late_answer_leaves_the_next_user_of_the_browser_logged_in(
    two: tuple[Worker, Worker], clock: MovableClock
) -> None:
    held, jar = await begun(two[0], clock, change_payload, refreshing=False)
    jar.take(await two[1].ask("/logout", jar))
    jar.take(await two[1].ask("/login?user=bob", jar))
    jar.take(await held.response())
    assert (await two[0].ask("/me", jar)).json()["user"] == "bob"


async def nothing(_worker: Worker, _clock: MovableClock) -> None:
    """The session stays as it is."""


async def end_of_the_session(worker: Worker, _clock: MovableClock) -> None:
    await worker.sessions.revoke_all_sessions_for_user("alice")


async def half_a_minute(_worker: Worker, clock: MovableClock) -> None:
    clock.advance(TOO_LATE)


@pytest.mark.parametrize(
    ("meanwhile", "expected"), [(nothing, {ACCESS}), (end_of_the_session, set()), (half_a_minute, set())]
)
async def test_a_websocket_obeys_the_same_rule(
    meanwhile: Callable[[Worker, MovableClock], Awaitable[None]],
    expected: set[str],
    worker: Worker,
    clock: MovableClock,
) -> None:
    worker.before_accept = lambda: meanwhile(worker, clock)
    jar = await logged_in(worker)
    async with Socket(worker.app, jar.header["cookie"]) as socket:
        await socket.until(lambda: bool(socket.heard))
    headers = socket.heard[0].get("headers", [])
    assert parsed_cookies([value.decode() for name, value in headers if name == b"set-cookie"]).keys() == expected


async def test_tokens_in_headers_obey_the_same_rule(url: str, clock: MovableClock) -> None:
    async with workers_on(url, clock, 1, token_transport="header") as (worker,):

        async def ask(seconds: float) -> set[str]:
            answer = await worker.ask("/login?user=alice", Jar())
            bearer = f"Bearer {answer.headers['st-access-token']}"
            held = worker.held["h"] = Held()
            path = "/slow/change_payload?held=h&role=admin"
            request = asyncio.create_task(worker.ask(path, Jar(), authorization=bearer))
            await held.made.wait()
            clock.advance(seconds)
            held.go.set()
            return {name for name in (await request).headers if name.startswith("st-")}

        assert await ask(30) == {"st-access-token"}
        assert await ask(TOO_LATE) == set()


# -- a jar in which an older version's late answer has left an ended session's access cookie


async def mixed_jar(worker: Worker, *, ended: bool) -> Jar:
    alices, bobs = await logged_in(worker), await logged_in(worker, "bob")
    if ended:
        await worker.ask("/logout", alices.copy())
    return Jar({ACCESS: alices.cookies[ACCESS], REFRESH: bobs.cookies[REFRESH]})


@pytest.mark.parametrize("expired", [False, True])
async def test_an_ended_sessions_access_cookie_hides_nobodys_session(
    expired: bool, worker: Worker, clock: MovableClock
) -> None:
    jar = await mixed_jar(worker, ended=True)
    if expired:
        clock.advance(LIFETIME)
    answer = await worker.ask("/me", jar)
    assert answer.json()["user"] == "bob"
    assert cookies_set(answer).keys() == PAIR


async def test_an_access_cookie_of_a_living_session_beside_anothers_refresh_cookie_is_401_and_clears_nothing(
    worker: Worker, clock: MovableClock
) -> None:
    jar = await mixed_jar(worker, ended=False)
    clock.advance(LIFETIME)
    answer = await worker.ask("/me", jar)
    assert (answer.status_code, cookies_set(answer)) == (401, {})


async def test_where_a_subdomain_can_plant_a_refresh_cookie_it_never_counts_beside_an_ended_session(
    url: str, clock: MovableClock
) -> None:
    async with workers_on(url, clock, 1, cookie_prefix="") as (worker,):
        jars = [await logged_in(worker, user) for user in ("alice", "mallory")]
        await worker.ask("/logout", jars[0].copy())
        jar = Jar({"sAccessToken": jars[0].cookies["sAccessToken"], "sRefreshToken": jars[1].cookies["sRefreshToken"]})
        assert (await worker.ask("/me", jar)).status_code == 401


# -- the newest payload


@pytest.mark.parametrize("answered_first", [0, 1], ids=["in order", "the older one later"])
async def test_of_two_changes_of_the_payload_the_newer_one_is_in_the_jar(
    answered_first: int, two: tuple[Worker, Worker]
) -> None:
    jar = await logged_in(two[0])
    held = [await two[0].begin(change_payload, jar, "role=admin"), await two[1].begin(change_payload, jar, "role=user")]
    for one in (held[answered_first], held[1 - answered_first]):
        jar.take(await one.response())
    assert role_in(jar) == "user"
    assert (await two[1].ask("/me", jar)).json()["payload"] == {"role": "user"}


async def test_ten_changes_at_once_leave_the_jar_with_what_the_database_says(two: tuple[Worker, Worker]) -> None:
    jar = await logged_in(two[0])
    held = await asyncio.gather(*(two[n % 2].begin(change_payload, jar, f"role={n}") for n in range(10)))
    for one in held:
        jar.take(await one.response())
    before = role_in(jar)
    jar.take(await (await two[1].begin(refresh, jar)).response())
    assert role_in(jar) == before


@pytest.mark.parametrize("update_first", [True, False], ids=["answered before", "answered after"])
async def test_a_change_of_the_payload_while_a_refresh_is_under_way_wins(
    update_first: bool, two: tuple[Worker, Worker], clock: MovableClock
) -> None:
    jar = await logged_in(two[0])
    jar.take(await (await two[0].begin(change_payload, jar, "role=admin")).response())
    clock.advance(LIFETIME)
    refreshing = await two[0].begin(be_served, jar)
    changing = await two[1].begin(change_payload, jar, "role=user")
    if two[0] is not two[1]:  # the other worker's changes are seen at a look only
        clock.advance(LATE)
    for one in (changing, refreshing) if update_first else (refreshing, changing):
        jar.take(await one.response())
    assert role_in(jar) == "user"


async def test_a_refreshed_answer_that_a_payload_overtook_keeps_its_anti_csrf_token_and_lifetime(
    url: str, clock: MovableClock
) -> None:
    async with workers_on(url, clock, 1, csrf="token") as (worker,):
        issued = await worker.sessions.create_new_session_without_request("alice", jwt_payload={"role": "admin"})
        jar = Jar({ACCESS: issued.access_token.value, REFRESH: issued.refresh_token.value})
        clock.advance(LIFETIME)
        held = worker.held["h"] = Held()
        request = asyncio.create_task(worker.ask("/slow/refresh?held=h", jar))
        await held.made.wait()
        await issued.session.update_jwt_payload({"role": "user"})
        held.go.set()
        answer = await request
        jar.take(answer)
        assert role_in(jar) == "user"
        anti_csrf = answer.headers["anti-csrf"]
        found = await worker.sessions.get_session_without_request(jar.cookies[ACCESS], anti_csrf)
        assert found.jwt_payload == {"role": "user"}
        clock.advance(299)
        await worker.sessions.get_session_without_request(jar.cookies[ACCESS], anti_csrf)
