"""A session without tokens, database and clock, for tests of what routes do with one."""

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast, overload

from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from asgi_sessions.asgi.error_responses import install_default_handler
from asgi_sessions.errors import ImpersonationRefused, Unauthorised
from asgi_sessions.manager.changing import new_value
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol import json_value
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.authentication_methods import added
from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.protocol.durations import from_ms, to_ms
from asgi_sessions.protocol.session_handle import new_handle
from asgi_sessions.protocol.user_id import UserId, decode, encode
from asgi_sessions.settings import SessionSettings

if TYPE_CHECKING:
    from asgi_sessions.manager.lifecycle import Lifecycle

__all__ = ["FakeSession", "fake_session"]

UserT = TypeVar("UserT", bound=UserId, default=Any)

_DEFAULTS = SessionSettings.model_fields
_LIFETIME, _TIMEOUT = (to_ms(_DEFAULTS[name].default) for name in ("access_token_lifetime", "absolute_timeout"))


@overload
def fake_session(
    *,
    jwt_payload: Any = ...,
    session_handle: str | None = ...,
    authentication_methods: Iterable[str] = ...,
    actor: UserId | None = ...,
) -> "FakeSession[str]": ...


@overload
def fake_session(
    user_id: UserT,
    *,
    jwt_payload: Any = ...,
    session_handle: str | None = ...,
    authentication_methods: Iterable[str] = ...,
    actor: UserId | None = ...,
) -> "FakeSession[UserT]": ...


def fake_session(
    user_id: Any = "test-user",
    *,
    jwt_payload: Any = None,
    session_handle: str | None = None,
    authentication_methods: Iterable[str] = (),
    actor: UserId | None = None,
) -> "FakeSession[Any]":
    """Make a session without a login, for FastAPI's ``dependency_overrides``.

    Write ``app.dependency_overrides[get_session] = fake_session("42")``. An override replaces only the very object that
    a route uses, so override each dependency that the application uses: `get_session`, and every result of
    `require_session`.

    Args:
        user_id: The user who is logged in.
        jwt_payload: A JSON value, as at a login.
        session_handle: The session's handle; None makes a random one.
        authentication_methods: How the user has just been authenticated, as at a login.
        actor: Who acts as the user; None for the user.

    Raises:
        TypeError, ValueError: A real session could not have this id or payload either.
    """
    memory = _Memory(user_id, jwt_payload, session_handle)
    memory.access = replace(
        memory.access,
        methods=added((), authentication_methods, memory.access.auth_time),
        actor=None if actor is None else decode(encode(actor)),
    )
    return FakeSession(memory)


class FakeSession(Session[UserT, Any]):
    """A login that exists only in memory, made by `fake_session`. FastAPI calls it for each request's `Session`.

    Changes that a request makes show here and in later requests: `revoked`, `jwt_payload`, the session info. Once the
    session is revoked, requests and reads raise `Unauthorised`. The session never expires, its user has no other
    sessions, and it touches no cookie.
    """

    __slots__ = ("_memory",)

    # FastAPI reads this: a parameter with a default value, as calls by hand want it, would be one of the request's.
    __signature__ = inspect.Signature(
        [inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
    )

    def __init__(self, memory: "_Memory") -> None:
        super().__init__(memory.access, cast("Lifecycle", memory), memory)
        self._memory = memory

    def __call__(self, connection: HTTPConnection | None = None) -> Session[UserT, Any]:
        """Return the session of one request. Requests share only the session's stored values.

        Raises:
            Unauthorised: The session has been revoked.
        """
        if connection is not None:
            install_default_handler(connection.scope)
        self._memory.stands()
        return Session(self._memory.access, cast("Lifecycle", self._memory), self._memory)

    @property
    def jwt_payload(self) -> Any:
        """The payload after the last `update_jwt_payload` of any request: a new object each time."""
        return self._memory.access.payload

    @property
    def revoked(self) -> bool:
        """Whether any request has logged out."""
        return self._memory.revoked

    def __repr__(self) -> str:
        return f"<FakeSession {self.session_handle} of user {self.user_id!r}>"


class _Memory:
    """Stands for the database behind a Session, and for its connection."""

    settings = SimpleNamespace(speaks_supertokens=False)

    def __init__(self, owner: Any, jwt_payload: Any, session_handle: str | None) -> None:
        now = system_clock()
        self.answer = _Response()
        self.revoker = self.data = self.step_up = self.impersonator = self
        self.revoked = False
        self._waiting: list[asyncio.Future[None]] = []  # each on the event loop of its waiter
        self._info = json_value.dumps(None, "session_info")
        self.access = AccessToken(
            handle=new_handle() if session_handle is None else session_handle,
            user_id=decode(encode(owner)),
            issued_at=now,
            expires_at=now + _LIFETIME,
            session_expires_at=now + _TIMEOUT,
            auth_time=now,
            generation=0,
            anti_csrf_token=None,
            lineage=None,
            payload_json=json_value.dumps(jwt_payload, "jwt_payload"),
        )

    def stands(self) -> None:
        if self.revoked:
            raise Unauthorised

    # -- what a Session asks of its Lifecycle

    def here(self) -> "_Memory":
        return self  # on whichever event loop

    async def revoke(self, session_handle: str, *, actor: UserId | None = None) -> bool:
        revoked, self.revoked = not self.revoked, True
        for waiting in self._waiting:
            waiting.get_loop().call_soon_threadsafe(waiting.cancel)
        self._waiting.clear()
        return revoked

    async def require_alone(self, access: AccessToken) -> None:
        self.stands()
        if access.actor is not None:
            raise ImpersonationRefused

    async def revoke_all(self, owner: UserId, *, except_handle: str) -> int:
        return 0

    async def get_info(self, session_handle: str) -> Any:
        self.stands()
        return json_value.loads(self._info)

    async def change_info(self, session_handle: str, change: Callable[[Any], Any]) -> Any:
        info = new_value(change, await self.get_info(session_handle), "session_info")
        await self.set_info(session_handle, info)
        return info

    async def set_info(self, session_handle: str, info: Any) -> None:
        text = json_value.dumps(info, "session_info")
        self.stands()
        self._info = text

    async def set_payload(self, access: AccessToken, payload: Any) -> tuple[IssuedToken, AccessToken]:
        text = json_value.dumps(payload, "jwt_payload")
        self.stands()
        version = self.access.payload_version + 1
        return IssuedToken("no-real-token", from_ms(access.expires_at)), access.with_payload(text, version)

    async def change_payload(
        self, access: AccessToken, change: Callable[[Any], Any]
    ) -> tuple[IssuedToken, AccessToken]:
        self.stands()
        return await self.set_payload(access, new_value(change, self.access.payload, "jwt_payload"))

    async def add(self, access: AccessToken, name: str) -> tuple[IssuedToken, AccessToken]:
        self.stands()
        now = system_clock()
        changed = replace(self.access, methods=added(self.access.methods, [name], now), auth_time=now)
        return IssuedToken("no-real-token", from_ms(access.expires_at)), changed

    def access_token_changed(self, token: IssuedToken, access: AccessToken) -> None:
        self.access = access

    async def idle_expires_at(self, session_handle: str) -> int:
        self.stands()
        return self.access.session_expires_at  # it is always in use

    async def check(self, access: AccessToken) -> AccessToken:
        self.stands()
        return access if access.payload_version == self.access.payload_version else self.access

    async def wait_until_ended(self, access: AccessToken) -> None:
        if not self.revoked:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await asyncio.wait([waiting])


class _Response:
    """Stands for the response before a Session: it takes no cookies."""

    def signing_out(self, session_handle: str | None) -> None:
        pass

    def session_ended(self, session_handle: str | None = None, *, by_user: bool) -> None:
        pass

    def refused(self, error: Unauthorised, session_handle: str | None = None) -> None:
        pass
