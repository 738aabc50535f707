"""Helpers that log test clients in: cookies come as real Set-Cookie headers and go through the client's own jar.

This module imports neither Starlette's test client nor httpx. To import the former without httpx2 is a warning, which
only the application's own tests should cause.
"""

from collections.abc import Collection
from email.message import Message
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast
from urllib.request import Request as UrllibRequest

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message as ASGIMessage
from starlette.types import Receive, Scope, Send

from asgi_sessions.asgi.credentials import header_values
from asgi_sessions.asgi.header_names import ACCESS_HEADER, ANTI_CSRF_HEADER
from asgi_sessions.asgi.middleware import SessionMiddleware
from asgi_sessions.asgi.response_headers import RawHeaders
from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager import Session, SessionManager
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.testing.finding import manager_of, managers_of

if TYPE_CHECKING:
    from starlette.testclient import TestClient

__all__ = ["AsyncTestClient", "async_login", "client", "login", "second_client"]

UserT = TypeVar("UserT", bound=UserId)

_NO_MANAGER = (
    "client: found no SessionMiddleware in the application. Add it, `app.add_middleware(SessionMiddleware, "
    "manager=sessions)`, or where it is out of sight name the manager: `client(app, manager=sessions)`."
)
_NOT_RUNNING = (
    "login: the application is not running. Write `with testing.client(app) as client:`, which starts it and its "
    "SessionManager; without `with` every request would run on an event loop of its own."
)


class AsyncTestClient(Protocol):
    """The part of a client that `async_login` uses. The ``AsyncClient`` of httpx2 and that of httpx both have it."""

    @property
    def base_url(self) -> Any: ...

    @base_url.setter
    def base_url(self, url: Any) -> None: ...

    @property
    def headers(self) -> Any: ...

    @property
    def cookies(self) -> Any: ...

    @property
    def build_request(self) -> Any: ...


def client(app: Any, *, manager: SessionManager | None = None, **options: Any) -> "TestClient":
    """Make a ``TestClient`` whose sessions live in an empty database in memory, and not in that of the settings.

    All other settings hold, except `revocation_channel_url`, because no other process shares the database. The tables
    exist even with ``migrate_on_start=False``. Use the client as ``with testing.client(app) as client:``.

    Args:
        app: The application.
        manager: Needed only if the helper cannot find the manager in the application.
        **options: The options of Starlette's ``TestClient``. `base_url` is ``https://testserver`` by default, because
            clients send no Secure cookie to http://testserver.

    Raises:
        ConfigurationError: The helper cannot find a manager in the application.
    """
    from asgi_sessions.testing.own_clients import InMemoryClient  # noqa: PLC0415 - see the module's text

    managers = managers_of(app) if manager is None else [manager]
    if not managers:
        raise ConfigurationError(_NO_MANAGER)
    return InMemoryClient(app, managers, **options)


def login(
    client: "TestClient",
    user_id: UserT,
    *,
    jwt_payload: Any = None,
    authentication_methods: Collection[str] = (),
    manager: SessionManager | None = None,
) -> Session[UserT, Any]:
    """Log a user in with one line: from now on the client's requests carry the session.

    Afterwards the client is in the state of a browser after the application's own login. The cookies are in its jar, or
    the access token is in its Authorization header (``token_transport="header"``). The anti-csrf token, if the settings
    use one, is in its header. The helper ends a session that the client had before. If cookies are Secure, it changes
    an ``http`` base URL to ``https``, because clients send no Secure cookie to http://testserver. WebSockets ignore the
    base URL: open them as ``client.websocket_connect("wss://testserver/…")``.

    Args:
        client: Starlette's or FastAPI's ``TestClient``, within ``with TestClient(app) as client:``.
        user_id: The user to log in.
        jwt_payload: As in `SessionManager.create_new_session`.
        authentication_methods: Likewise.
        manager: Needed only if the application has several managers, or none that the helper can find.

    Returns:
        The session. Its methods belong to the client's event loop: ``client.portal.call(session.revoke_session)``.

    Raises:
        ConfigurationError: The application is not running, has no manager or several, or the client would not send
            the cookies back.
        SessionError, TypeError, ValueError: As in `SessionManager.create_new_session`.
    """
    if client.portal is None:
        raise ConfigurationError(_NOT_RUNNING)
    said = {"jwt_payload": jwt_payload, "authentication_methods": authentication_methods}
    steps = _Login(client, user_id, said, manager or manager_of(client.app, "login"), "login")
    client.portal.call(steps.run)
    return steps.finish()


async def async_login(
    client: AsyncTestClient,
    user_id: UserT,
    *,
    jwt_payload: Any = None,
    authentication_methods: Collection[str] = (),
    manager: SessionManager | None = None,
) -> Session[UserT, Any]:
    """Log a user in as `login` does, for an ``AsyncClient`` of httpx2 or httpx over its ``ASGITransport``.

    That transport runs no lifespan: start the manager with ``async with sessions:`` around the client.

    Args:
        client: The client, with a base URL.
        user_id: The user to log in.
        jwt_payload: As in `SessionManager.create_new_session`.
        authentication_methods: Likewise.
        manager: Needed only if the application has several managers, or none that the helper can find.

    Returns:
        The session.

    Raises:
        ConfigurationError: The manager is not running on this event loop, the application has no manager or several,
            the client has no base URL or would not send the cookies back.
        SessionError, TypeError, ValueError: As in `SessionManager.create_new_session`.
    """
    app = getattr(_transport(client), "app", None)
    said = {"jwt_payload": jwt_payload, "authentication_methods": authentication_methods}
    steps = _Login(client, user_id, said, manager or manager_of(app, "async_login"), "async_login")
    await steps.run()
    return steps.finish()


def second_client(client: "TestClient") -> "TestClient":
    """Make a second browser for the same running application: an empty cookie jar, the same event loop and lifespan.

    Args:
        client: The first client, within ``with TestClient(app) as client:``. The second runs for as long as the first.

    Returns:
        A ``TestClient`` with the first one's base URL, options and headers, except the headers that `login` sets. It
        needs no ``with``; one does no harm, and does not start the application again.
    """
    from asgi_sessions.testing.own_clients import SecondClient  # noqa: PLC0415 - see the module's text

    return SecondClient(client, _transport(client))


class _Login(Generic[UserT]):
    """One login: a request of the client's own to an endpoint that does nothing else, through the real middleware."""

    def __init__(
        self, client: AsyncTestClient, user_id: UserT, said: dict[str, Any], manager: SessionManager, asked_by: str
    ) -> None:
        self._client = client
        self._user_id = user_id
        self._said = said
        self._manager = manager
        self._asked_by = asked_by
        self._outcome: Session[UserT, Any] | Exception | None = None
        self._headers: RawHeaders = []
        self._prepare()

    def _prepare(self) -> None:
        client, settings = self._client, self._manager.settings
        if not client.base_url.host:
            raise ConfigurationError(f'{self._asked_by}: the client needs a base URL, base_url="https://testserver".')
        if settings.cookie_secure and settings.token_transport != "header" and client.base_url.scheme == "http":
            client.base_url = client.base_url.copy_with(scheme="https")

    async def run(self) -> None:
        """Send the request. On the event loop of the manager."""
        request = self._request("POST")
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}".encode()
        ours = {b"origin": origin, b"sec-fetch-site": b"same-origin"}
        raw = [(name.lower(), value) for name, value in request.headers.raw]
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "root_path": "",
            "query_string": b"",
            "headers": [*(header for header in raw if header[0] not in ours), *ours.items()],
            "client": getattr(_transport(self._client), "client", None),
            "server": (request.url.host, request.url.port),
        }
        await SessionMiddleware(self._endpoint, self._manager)(scope, _nothing_to_receive, self._send)

    def finish(self) -> Session[UserT, Any]:
        """Put what came back where the client keeps it."""
        if self._outcome is None:
            raise RuntimeError("The login has not run.")
        if isinstance(self._outcome, Exception):
            raise self._outcome
        self._take_cookies(header_values(self._headers, b"set-cookie"))
        for token in header_values(self._headers, ACCESS_HEADER):
            self._client.headers["authorization"] = f"Bearer {token}"
        for token in header_values(self._headers, ANTI_CSRF_HEADER):
            self._client.headers[ANTI_CSRF_HEADER.decode()] = token
        return self._outcome

    def _request(self, method: str) -> Any:
        """A request that the client would send to where the access cookie goes."""
        url = self._client.base_url.join(self._manager.settings.access_token_path)
        return self._client.build_request(method, url)

    async def _endpoint(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._outcome = await self._manager.create_new_session(Request(scope), self._user_id, **self._said)
        except Exception as error:  # the test is to see it, not an error page
            self._outcome = error
        await Response(status_code=204)(scope, receive, send)

    async def _send(self, message: ASGIMessage) -> None:
        self._headers += message.get("headers", ())

    def _take_cookies(self, set_cookies: list[str]) -> None:
        if not set_cookies:
            return
        jar = self._client.cookies.jar
        asked = UrllibRequest(str(self._request("POST").url))  # noqa: S310 - for the jar's eyes, never opened
        jar.extract_cookies(_SetCookies(set_cookies), asked)
        # Those of earlier settings are cleared first.
        name = next(cookie for cookie in set_cookies if "; Max-Age=0;" not in cookie).partition("=")[0]
        sent = cast("str", self._request("GET").headers.get("cookie", ""))
        if not any(cookie.strip().startswith(f"{name}=") for cookie in sent.split(";")):
            raise ConfigurationError(
                f"{self._asked_by}: the client would not send the session's cookies to {self._client.base_url}. With "
                "cookie_domain the base URL must be a host of that domain."
            )


class _SetCookies:
    """A response as far as the standard library's cookie jar looks at it."""

    def __init__(self, set_cookies: list[str]) -> None:
        self._headers = Message()
        for value in set_cookies:
            self._headers["Set-Cookie"] = value

    def info(self) -> Message:
        return self._headers


async def _nothing_to_receive() -> ASGIMessage:
    return {"type": "http.request", "body": b"", "more_body": False}


def _transport(client: Any) -> Any:
    # Private to the clients, and the only place where they keep the application, its address and its options.
    return getattr(client, "_transport", None)
