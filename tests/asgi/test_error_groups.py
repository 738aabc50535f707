"""What an application's TaskGroup makes of our errors is answered as the gravest of them; nothing else is touched."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_sessions import (
    AlreadyRotated,
    ConfigurationError,
    CsrfRejected,
    FetchedAhead,
    FormForAnotherSession,
    GeneralError,
    ImpersonationRefused,
    InvalidClaim,
    PayloadChanged,
    PayloadTooLarge,
    ReauthenticationRequired,
    SessionError,
    SessionLimitReached,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
    TokenTheftDetected,
    TooManyCookies,
    TryRefreshToken,
    Unauthorised,
    error_answer,
    errors,
    get_session,
    session_exception_handler,
)
from asgi_sessions.asgi.error_responses import answerable
from asgi_sessions.fastapi import CurrentSession
from asgi_sessions.testing import fake_session
from tests.asgi.apps import CLEARED, application, cookies_set
from tests.asgi.conftest import OpenClient

UNAUTHORISED = {"detail": "Not logged in.", "code": "unauthorised"}
JAR = {"cookie": "; ".join(f"{name}=x" for name in CLEARED)}


class NotToday(SessionError):
    """An application's own."""


FROM_THE_GRAVEST = [
    TokenTheftDetected("h" * 32, "alice"),
    Unauthorised(),
    CsrfRejected(),
    FormForAnotherSession("h" * 32),
    TooManyCookies(),
    TryRefreshToken(),
    FetchedAhead(),
    AlreadyRotated("h" * 32, 3),
    PayloadChanged("h" * 32),
    ReauthenticationRequired(),
    SessionLimitReached(),
    ImpersonationRefused(),
    InvalidClaim("role"),
    NotToday(),
    StoreUnavailable(),
]


@pytest.mark.parametrize(
    ("graver", "other"), list(itertools.combinations(FROM_THE_GRAVEST, 2)), ids=lambda error: type(error).__name__
)
def test_the_gravest_error_of_a_group_counts(graver: SessionError, other: SessionError) -> None:
    for together in ([graver, other], [other, graver], [other, graver, other]):
        assert answerable(ExceptionGroup("", together)) is graver
    nested = ExceptionGroup("", [ExceptionGroup("", [other]), ExceptionGroup("", [ExceptionGroup("", [graver])])])
    assert answerable(nested) is graver


def test_every_error_for_the_client_has_its_place() -> None:
    kinds = {getattr(errors, name) for name in errors.__all__} - {SessionError}
    developers = {kind for kind in kinds if issubclass(kind, GeneralError)} - {StoreUnavailable}
    assert {type(error) for error in FROM_THE_GRAVEST} - {NotToday} == kinds - developers


@pytest.mark.parametrize("mistake", [ValueError(), ConfigurationError("x"), PayloadTooLarge(), GeneralError()])
def test_a_group_with_anything_else_is_not_the_clients_business(mistake: Exception) -> None:
    for group in ([mistake], [Unauthorised(), mistake], [Unauthorised(), ExceptionGroup("", [mistake])]):
        assert answerable(ExceptionGroup("", group)) is None
    assert answerable(mistake) is None


def test_of_equals_the_first_counts() -> None:
    first, second = Unauthorised("a"), Unauthorised("b")
    assert answerable(ExceptionGroup("", [ExceptionGroup("", [first]), second])) is first


# -- where


async def ask_in_a_group(connection: Any) -> None:
    """As an application does that looks for several things at once."""
    async with asyncio.TaskGroup(), asyncio.TaskGroup() as inner:
        inner.create_task(get_session(connection))
        # Python 3.11 leaves a task that is cancelled at the group's end half cancelled, and the test client minds.
        await asyncio.Event().wait()


async def page(request: Request) -> Response:
    await ask_in_a_group(request)
    return PlainTextResponse("never")


async def socket(websocket: WebSocket) -> None:
    await ask_in_a_group(websocket)


def routed(**options: Any) -> Starlette:
    return Starlette(routes=[Route("/page", page), WebSocketRoute("/socket", socket)], **options)


def fastapi(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/page")
    async def fastapi_page(request: Request) -> str:
        await ask_in_a_group(request)
        return "never"

    @app.websocket("/socket")
    async def fastapi_socket(websocket: WebSocket) -> None:
        await ask_in_a_group(websocket)

    return app


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return
    await ask_in_a_group(Request(scope) if scope["type"] == "http" else WebSocket(scope, receive, send))


def inside(app: Any, sessions: SessionManager) -> Any:
    return SessionMiddleware(app, sessions)


def mounted(app: Any, sessions: SessionManager) -> Any:
    return application(sessions, Mount("/inner", app))


PLACES = pytest.mark.parametrize(
    ("make", "place", "path"),
    [
        (lambda: bare, inside, ""),
        (routed, inside, ""),
        (routed, mounted, "/inner"),
        (fastapi, inside, ""),
        (fastapi, mounted, "/inner"),
    ],
    ids=["bare", "starlette", "mounted starlette", "fastapi", "mounted fastapi"],
)


@PLACES
def test_a_group_on_a_request_is_answered_as_the_single_error(
    make: Callable[[], Any], place: Any, path: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(place(make(), sessions))
    response = client.get(f"{path}/page", headers=JAR)
    assert (response.status_code, response.json()) == (401, UNAUTHORISED)
    assert cookies_set(response) == CLEARED
    assert response.headers["www-authenticate"].startswith("Bearer")


@PLACES
def test_a_group_on_a_websocket_is_answered_as_the_single_error(
    make: Callable[[], Any], place: Any, path: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(place(make(), sessions))
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(f"{path}/socket", headers={**JAR, "origin": "http://testserver"}),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()) == (401, UNAUTHORISED)
    assert cookies_set(denied.value) == CLEARED


# -- whose handler


async def own_answer(_: Any, error: Exception) -> Response:
    return PlainTextResponse(f"own {type(error).__name__}", 418)


def own_answer_by_a_thread(_: Any, error: Exception) -> Response:
    return PlainTextResponse(f"own {type(error).__name__}", 418)


class OwnAnswer:
    async def __call__(self, _: Any, error: Exception) -> Response:
        return PlainTextResponse(f"own {type(error).__name__}", 418)


@pytest.mark.parametrize("answer", [own_answer, own_answer_by_a_thread, OwnAnswer()])
@pytest.mark.parametrize("handled", [Unauthorised, SessionError])
@pytest.mark.parametrize("make", [routed, fastapi])
@pytest.mark.parametrize(("place", "path"), [(inside, ""), (mounted, "/inner")])
def test_the_applications_own_handler_answers_the_gravest(
    make: Any, place: Any, path: str, handled: Any, answer: Any, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(place(make(exception_handlers={handled: answer}), sessions))
    for _ in range(2):
        response = client.get(f"{path}/page", headers=JAR)
        assert (response.status_code, response.text) == (418, "own Unauthorised")
        assert cookies_set(response) == CLEARED


def test_the_applications_own_handler_for_groups_comes_first(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(mounted(routed(exception_handlers={ExceptionGroup: own_answer}), sessions))
    assert client.get("/inner/page").text == "own ExceptionGroup"
    assert client.get("/inner/page").text == "own ExceptionGroup"


def test_the_public_handler_answers_groups_too(open_client: OpenClient, sessions: SessionManager) -> None:
    handlers: Any = {ExceptionGroup: session_exception_handler}
    client = open_client(mounted(routed(exception_handlers=handlers), sessions))
    assert client.get("/inner/page").json() == UNAUTHORISED


async def test_what_other_frameworks_are_to_answer_is_what_the_public_handler_answers() -> None:
    request = Request({"type": "http", "headers": []})
    for error in FROM_THE_GRAVEST:
        answer = await session_exception_handler(request, error)
        for given in (error, ExceptionGroup("", [error])):
            status, headers, content = error_answer(request, given)
            assert (status, content) == (answer.status_code, json.loads(bytes(answer.body)))
            of_the_json = {"content-length", "content-type"}
            lower = {name.lower(): value for name, value in headers.items()}
            assert lower == {name: value for name, value in answer.headers.items() if name not in of_the_json}
    for mistake in (ConfigurationError("x"), ExceptionGroup("", [Unauthorised(), ValueError()])):
        with pytest.raises(type(mistake)) as raised:
            error_answer(request, mistake)
        assert raised.value is mistake


def test_with_a_fake_session_a_group_is_answered_too() -> None:
    fake = fake_session()
    app = FastAPI()

    @app.get("/page")
    async def fake_page(session: CurrentSession) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(_refuse())
        return "never"

    app.dependency_overrides[get_session] = fake
    from starlette.testclient import TestClient

    assert TestClient(app).get("/page").json()["code"] == "invalid_claim"


async def _refuse() -> None:
    raise InvalidClaim("role")


# -- what is not ours


async def mixed(request: Request) -> Response:
    await get_session(request)
    raise ExceptionGroup("of the application", [Unauthorised(), ValueError("x")])


@pytest.mark.parametrize(("place", "path"), [(inside, ""), (mounted, "/inner")])
def test_a_group_with_anything_else_goes_on_as_it_is(
    place: Any, path: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    inner = application(sessions, Route("/mixed", mixed))
    client = open_client(place(inner, sessions))
    client.post(f"{path}/login")
    with pytest.raises(ExceptionGroup) as raised:
        client.get(f"{path}/mixed")
    assert [type(error) for error in raised.value.exceptions] == [Unauthorised, ValueError]
    quiet = open_client(place(application(sessions, Route("/mixed", mixed)), sessions), raise_server_exceptions=False)
    quiet.post(f"{path}/login")
    assert quiet.get(f"{path}/mixed").status_code == 500


def test_a_group_that_comes_after_the_response_has_started_goes_on_as_it_is(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def stream(request: Request) -> Response:
        await get_session(request)

        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            # Two, since Starlette before 1.0 raises the one error of a group in its place.
            raise ExceptionGroup("of the application", [ValueError("x"), KeyError("y")])

        return StreamingResponse(body())

    client = open_client(application(sessions, Route("/stream", stream)))
    client.post("/login")
    with pytest.raises(ExceptionGroup, match="of the application"):
        client.get("/stream")


def test_a_handler_table_is_changed_once_and_for_groups_only_where_nobody_else_handles_them(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    app = application(sessions)
    client = open_client(app)
    client.get("/me")
    assert SessionError not in app.exception_handlers
    assert ExceptionGroup not in app.exception_handlers
