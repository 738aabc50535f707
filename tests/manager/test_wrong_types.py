"""An argument of the wrong type is a mistake that is named, never a session that is not found or a check not made."""

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request

import asgi_sessions
import asgi_sessions.fastapi
from asgi_sessions import (
    ConfigurationError,
    IssuedSession,
    SessionManager,
    SessionMiddleware,
    SessionSettings,
    get_optional_session,
    get_session,
)

HANDLE = "0123456789abcdef" * 2


class Wrong:
    """Stands for whatever the library's own types are mistaken for; made when there is a session."""

    def __init__(self, make: Callable[[IssuedSession], Any], hint: str) -> None:
        self.make, self.hint = make, hint


ANYTHING: list[Any] = [None, 0, 1.5, True, b"0" * 32, [], {}, (), object(), uuid.UUID(int=1), ["0" * 32]]
TOKENS: list[Any] = [
    *ANYTHING,
    Wrong(lambda issued: issued.access_token, "not IssuedToken: give its .value"),
    Wrong(lambda issued: issued, "not IssuedSession: give its ."),
]
HANDLES: list[Any] = [
    *ANYTHING,
    Wrong(lambda issued: issued.session, "not Session: give its .session_handle"),
    Wrong(lambda issued: issued, "not IssuedSession: give its .session.session_handle"),
    Wrong(lambda issued: issued.access_token, "not IssuedToken"),
]
A_SESSION = Wrong(lambda issued: issued.session, "not Session")
USERS: list[Any] = [None, True, 1.5, b"alice", [], {}, (), object(), A_SESSION]
FLAGS: list[Any] = [None, 0, 1, "", "off", []]
NUMBERS: list[Any] = [True, 1.5, "5", b"5", [], timedelta(1)]
SETTINGS: list[Any] = ["sqlite+aiosqlite://", {}, SessionSettings, b"", 1]
CONNECTIONS: list[Any] = [None, {}, {"type": "http"}, "request", A_SESSION]
METHOD_NAMES: list[Any] = [None, "pwd", b"pwd", 1, True, object(), [1], [None], [b"pwd"], {1: "pwd"}, iter(["pwd"])]
INDEXES: list[Any] = [0, True, "org", b"org", ["org"], object(), {"org": 7}, {"org": None}, {7: "acme"}, A_SESSION]
TEXTS: list[Any] = [*ANYTHING, A_SESSION]
MOMENTS: list[Any] = [*(value for value in ANYTHING if value is not None), A_SESSION, "2026-01-31T12:00:00Z"]
AGES: list[Any] = ["5m", True, [], {}, object()]
TIMEOUTS: list[Any] = ["5m", True, b"", [], object()]
LIFETIMES = {"persistent": FLAGS, "idle_timeout": TIMEOUTS, "absolute_timeout": TIMEOUTS}


def but_none(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


# name -> the arguments that are right; argument -> what is wrong for it
METHODS: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "create_new_session": (
        {"connection": None, "user_id": "alice"},
        {
            "connection": CONNECTIONS,
            **LIFETIMES,
            "authentication_methods": METHOD_NAMES,
            "index": INDEXES,
            "allow_origin": [0, True, 1.5, b"https://a.example", [None], [b""], object(), A_SESSION],
        },
    ),
    "impersonate": (
        {"connection": None, "user_id": "alice", "actor": None},
        {"actor": [None, "admin", 1, {}, Wrong(lambda issued: issued, "not IssuedSession")]},
    ),
    "get_session": ({}, {"connection": CONNECTIONS}),
    "refresh_session": ({}, {"connection": CONNECTIONS}),
    "revoke_session_using_session_handle": (
        {"session_handle": HANDLE},
        {"session_handle": HANDLES, "user_id": but_none(USERS)},
    ),
    "revoke_all_sessions_for_user": (
        {"user_id": "alice"},
        {"user_id": USERS, "before": MOMENTS, "except_handle": but_none(HANDLES), "acting": FLAGS},
    ),
    "revoke_multiple_sessions": (
        {},
        {
            "session_handles": [
                *(None, 0, 1.5, True, b"0" * 32, object(), uuid.UUID(int=1), A_SESSION),
                HANDLE,
                [HANDLE, None],
                [HANDLE, HANDLE.encode()],
                Wrong(lambda issued: [issued.session], "not Session: give its .session_handle"),
            ]
        },
    ),
    "revoke_sessions": (
        {},
        {
            "before": MOMENTS,
            "except_handle": but_none(HANDLES),
            "progress": [*(value for value in ANYTHING if value is not None), asyncio.sleep],
        },
    ),
    "revoke_sessions_by_index": (
        {"name": "org", "value": "acme"},
        {"name": TEXTS, "value": TEXTS, "before": MOMENTS, "except_handle": but_none(HANDLES)},
    ),
    "list_sessions_by_index": (
        {"name": "org", "value": "acme"},
        {"name": TEXTS, "value": TEXTS, "limit": [None, *NUMBERS], "after": [0, True, b"", [], A_SESSION]},
    ),
    "update_session_index": (
        {"session_handle": HANDLE, "changes": {}},
        {"session_handle": HANDLES, "changes": [None, *INDEXES[:-4], {"org": 7}, {7: "acme"}]},
    ),
    "get_all_session_handles_for_user": ({}, {"user_id": USERS}),
    "list_sessions_for_user": (
        {"user_id": "alice"},
        {"user_id": USERS, "limit": [None, *NUMBERS], "after": [0, True, b"", [], A_SESSION]},
    ),
    "get_session_info": ({}, {"session_handle": HANDLES}),
    "update_session_info": (
        {"session_handle": HANDLE, "info": {}},
        {"session_handle": HANDLES, "info": [object(), b""]},
    ),
    "change_session_info": (
        {"session_handle": HANDLE, "change": dict},
        {"session_handle": HANDLES, "change": [*ANYTHING, A_SESSION, asyncio.sleep]},
    ),
    "change_jwt_payload": (
        {"session_handle": HANDLE, "change": dict},
        {"session_handle": HANDLES, "change": [*ANYTHING, A_SESSION, asyncio.sleep]},
    ),
    "change_jwt_payload_for_user": (
        {"user_id": "alice", "change": dict},
        {"user_id": USERS, "change": [*ANYTHING, A_SESSION, asyncio.sleep]},
    ),
    "export_user": ({"user_id": "alice"}, {"user_id": USERS, "acting": FLAGS}),
    "erase_user": ({}, {"user_id": USERS}),
    "purge_expired_sessions": ({}, {"limit": NUMBERS}),
    "on_session_created": ({}, {"hook": [None, "hook", print, object()]}),
    "on_session_refreshed": ({}, {"hook": [None, "hook", print, object()]}),
    "on_session_revoked": ({}, {"hook": [None, "hook", print, object()]}),
    "on_session_theft": ({}, {"hook": [None, "hook", print, object()]}),
    "label_devices": ({}, {"function": [None, 5, object()]}),
    "claims": ({}, {"function": [None, 5, print, object()]}),
    "limit_sessions_per_user": ({}, {"function": [None, 5, print, object()]}),
    "create_new_session_without_request": (
        {"user_id": "alice"},
        {
            "user_id": USERS,
            "jwt_payload": [object(), b""],
            "session_info": [object(), b""],
            **LIFETIMES,
            "authentication_methods": METHOD_NAMES,
            "index": INDEXES,
        },
    ),
    "get_session_without_request": (
        {"access_token": "x"},
        {
            "access_token": TOKENS,
            "anti_csrf_token": but_none(TOKENS),
            "csrf": FLAGS,
            "check_database": FLAGS,
            "extend": FLAGS,
        },
    ),
    "refresh_session_without_request": ({"refresh_token": "x"}, {"refresh_token": TOKENS, "extend": FLAGS}),
}
NOT_CHECKED = {
    # with a request: what costs nothing on the hot path, and what the checks behind it find
    "create_new_session": {"user_id", "jwt_payload", "session_info"},
    # see test_impersonation: it takes a session to come to these
    "impersonate": {"connection", "user_id", "lifetime", "jwt_payload", "session_info", "index"},
    "get_session": {"required", "csrf", "check_database", "extend"},
    "refresh_session": {"extend"},
}
WITHOUT_ARGUMENTS = {"start", "stop", "upgrade_database", "end_connections", "time"}

FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, list[Any]]]] = {
    "cors_headers": (asgi_sessions.cors_headers, {"settings": [None, *SETTINGS]}),
    "require_session": (
        asgi_sessions.require_session,
        {
            "csrf": but_none(FLAGS),
            "check_database": FLAGS,
            "max_auth_age": AGES,
            "claims": ["role", [], True],
            "methods": but_none(METHOD_NAMES),
            "level": but_none(NUMBERS),
            "within": AGES,
            "allow_actor": but_none(FLAGS),
            "extend": but_none(FLAGS),
            "form_tag": FLAGS,
        },
    ),
    "session_routes": (asgi_sessions.session_routes, {"max_auth_age": AGES}),
    "session_router": (asgi_sessions.fastapi.session_router, {"max_auth_age": AGES}),
    "sessions_metadata": (asgi_sessions.sessions_metadata, {"table_prefix": [None, 1, b"x_", ["x_"]]}),
}
OTHERS = {
    "session_exception_handler",  # answers any error, and raises what is not its own
    "error_answer",  # the same
    "CurrentSession",
    "OptionalSession",
    "get_session",
    "get_optional_session",
}


@pytest.fixture
async def running() -> AsyncIterator[SessionManager]:
    async with SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0)) as sessions:
        yield sessions


async def called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    result = function(**arguments)
    return await result if inspect.isawaitable(result) else result


@pytest.mark.parametrize(
    ("method", "argument"), [(method, argument) for method, (_, wrong) in METHODS.items() for argument in wrong]
)
async def test_a_wrong_type_is_named_and_ends_nothing(method: str, argument: str, running: SessionManager) -> None:
    issued = await running.create_new_session_without_request("alice", session_info={"kept": True})
    right, wrong = METHODS[method]
    for value in wrong[argument]:
        given = value.make(issued) if isinstance(value, Wrong) else value
        with pytest.raises(TypeError) as caught:
            await called(getattr(running, method), {**right, argument: given})
        said = str(caught.value)
        # A hook is named by its event, and items by what holds them.
        assert argument in said or (argument == "info" and "session_info" in said)
        assert isinstance(value, Wrong) is False or value.hint in said
        for secret in (issued.access_token.value, issued.refresh_token.value, HANDLE, "0" * 32):
            assert secret not in said
    assert await running.get_session_info(issued.session.session_handle) == {"kept": True}
    await running.refresh_session_without_request(issued.refresh_token.value)


@pytest.mark.parametrize(
    ("function", "argument"), [(name, argument) for name, (_, wrong) in FUNCTIONS.items() for argument in wrong]
)
def test_a_wrong_type_is_named_by_functions_too(function: str, argument: str) -> None:
    call, wrong = FUNCTIONS[function]
    for value in wrong[argument]:
        with pytest.raises(TypeError, match=argument):
            call(**{argument: value})


@pytest.mark.parametrize("depend", [get_session, get_optional_session])
async def test_what_is_no_connection_is_named(depend: Any) -> None:
    nothing: list[Any] = [None, {}, "request"]
    for value in nothing:
        with pytest.raises(TypeError, match="connection must be a Starlette Request or WebSocket, not "):
            await depend(value)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_manager_wants_settings_and_says_how(settings: Any) -> None:
    with pytest.raises(TypeError, match=r"SessionManager\(SessionSettings\(database_url=…\)\)") as caught:
        SessionManager(settings)
    assert "sqlite" not in str(caught.value)


@pytest.mark.parametrize("clock", [None, 0, "now"])
def test_the_manager_wants_a_clock_that_can_be_asked(clock: Any) -> None:
    with pytest.raises(TypeError, match="clock must be a function"):
        SessionManager(clock=clock)


@pytest.mark.parametrize("manager", [None, "sqlite+aiosqlite://", SessionManager, SessionSettings])
def test_the_middleware_wants_a_manager(manager: Any) -> None:
    with pytest.raises(ConfigurationError, match="manager must be a SessionManager"):
        SessionMiddleware(lambda *_: None, manager)  # type: ignore[arg-type]


async def test_a_text_of_a_class_of_its_own_is_a_text(running: SessionManager) -> None:
    class Markup(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    issued = await running.create_new_session_without_request("alice")
    assert (await running.get_session_without_request(Markup(issued.access_token.value))).user_id == "alice"
    handle = Markup(issued.session.session_handle)
    assert await running.get_session_info(handle) is None
    assert await running.revoke_session_using_session_handle(handle)


# -- the tables are complete


def parameters_of(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def test_every_argument_of_every_method_is_in_the_table() -> None:
    methods = {
        name: parameters_of(value)
        for name, value in inspect.getmembers(SessionManager, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {name for name, arguments in methods.items() if not arguments} == WITHOUT_ARGUMENTS
    tried = {name: {*wrong, *NOT_CHECKED.get(name, ())} for name, (_, wrong) in METHODS.items()}
    assert {name: arguments for name, arguments in methods.items() if arguments} == tried


def test_every_argument_of_every_function_is_in_the_table() -> None:
    functions = {
        name: value
        for module in (asgi_sessions, asgi_sessions.fastapi)
        for name in module.__all__
        for value in [getattr(module, name)]
        if not inspect.isclass(value)
    }
    assert functions.keys() == FUNCTIONS.keys() | OTHERS
    for name, (call, wrong) in FUNCTIONS.items():
        assert parameters_of(call) == wrong.keys(), name


async def test_a_login_with_a_request_checks_its_values_too(running: SessionManager) -> None:
    statuses: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        for wrong in ({"user_id": None}, {"user_id": "a", "jwt_payload": b""}, {"user_id": "a", "session_info": b""}):
            with pytest.raises(TypeError) as caught:
                await running.create_new_session(request, **wrong)
            statuses.append(str(caught.value).split()[0].rstrip(":"))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "scheme": "https"}
    await SessionMiddleware(app, running)(scope, None, None)  # type: ignore[arg-type]
    assert [status.partition("[")[0] for status in statuses] == ["user_id", "jwt_payload", "session_info"]
