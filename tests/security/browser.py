"""A browser made of a dictionary: drives an ASGI application by hand, with any bytes in any header."""

import asyncio
import json
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

Text = str | bytes
Header = tuple[Text, Text]

HOST = "shop.example"
ORIGIN = f"https://{HOST}"
ADDRESS = "192.0.2.7"


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: 101 for a WebSocket that was accepted.
        headers: As they were sent.
        body: All of it.
        error: What the application raised beside its answer, for those who asked not to have it raised.
    """

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    error: BaseException | None = None

    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for header, value in self.headers if header.lower() == name.encode()]

    @property
    def code(self) -> str | None:
        """The error's name, None where the body is none of our errors."""
        try:
            found = self.json()
        except ValueError:
            return None
        return found.get("code") if isinstance(found, dict) else None

    @property
    def set_cookies(self) -> list[str]:
        return self.all("set-cookie")

    @property
    def set_values(self) -> dict[str, str]:
        """The cookies that this answer sets, without those that it clears."""
        pairs = [cookie.partition(";")[0].partition("=") for cookie in self.set_cookies]
        return {name: value for name, _, value in pairs if value}

    @property
    def cleared(self) -> set[str]:
        """The names of the cookies that this answer clears."""
        return {cookie.partition("=")[0] for cookie in self.set_cookies if "; Max-Age=0;" in cookie}


class Browser:
    """One cookie jar at one place.

    Attributes:
        cookies: The jar. Attributes are not looked at: every cookie goes everywhere.
    """

    def __init__(self, app: ASGIApp, *, host: Text = HOST, scheme: str = "https", address: str = ADDRESS) -> None:
        self.app = app
        self.host = host
        self.scheme = scheme
        self.address = address
        self.cookies: dict[str, str] = {}

    def copy(self) -> "Browser":
        """A thief's: the same cookies in a jar of its own."""
        other = Browser(self.app, host=self.host, scheme=self.scheme, address=self.address)
        other.cookies = dict(self.cookies)
        return other

    def find(self, name: str) -> str:
        """The value of a cookie, whatever its prefix."""
        return next(value for cookie, value in self.cookies.items() if cookie.endswith(name))

    async def get(self, path: str, headers: Iterable[Header] = (), **options: Any) -> Answer:
        return await self.send("GET", path, headers, **options)

    async def post(self, path: str, headers: Iterable[Header] = (), **options: Any) -> Answer:
        return await self.send("POST", path, headers, **options)

    async def delete(self, path: str, headers: Iterable[Header] = (), **options: Any) -> Answer:
        return await self.send("DELETE", path, headers, **options)

    async def send(
        self,
        method: str,
        path: str,
        headers: Iterable[Header] = (),
        *,
        body: bytes = b"",
        cookies: Sequence[tuple[str, str]] | None = None,
        raises: bool = True,
    ) -> Answer:
        """Send a request and keep the cookies of its answer.

        Args:
            method: Of any kind.
            path: As after the server's decoding.
            headers: Beside Host and Cookie.
            body: The request's.
            cookies: In place of the jar's; a name may be there several times. The answer's go into the jar anyway.
            raises: Whether an exception that leaves the application is raised here.
        """
        scope = self._scope("http", path, headers, cookies) | {"method": method}
        answer = await call(self.app, scope, [{"type": "http.request", "body": body, "more_body": False}])
        if raises and answer.error is not None:
            raise answer.error
        self._keep(answer)
        return answer

    async def connect(
        self,
        path: str,
        headers: Iterable[Header] = (),
        *,
        cookies: Sequence[tuple[str, str]] | None = None,
        denial: bool = True,
    ) -> Answer:
        """Open a WebSocket and close it again.

        Args:
            path: Where.
            headers: Beside Host and Cookie.
            cookies: In place of the jar's.
            denial: Whether the server offers denial responses.
        """
        scope = self._scope("websocket", path, headers, cookies)
        scope |= {"scheme": {"https": "wss"}.get(self.scheme, "ws"), "subprotocols": []}
        scope["extensions"] = {"websocket.http.response": {}} if denial else {}
        answer = await call(self.app, scope, [{"type": "websocket.connect"}])
        if answer.error is not None:
            raise answer.error
        self._keep(answer)
        return answer

    def _scope(
        self, kind: str, path: str, headers: Iterable[Header], cookies: Sequence[tuple[str, str]] | None
    ) -> dict[str, Any]:
        pairs = list(self.cookies.items()) if cookies is None else cookies
        sent: list[Header] = [("host", self.host)]
        if pairs:
            sent.append(("cookie", "; ".join(f"{name}={value}" for name, value in pairs)))
        sent += headers
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": b"",
            "root_path": "",
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in sent],
            "client": (self.address, 50_000),
            "server": ("127.0.0.1", 443),
        }

    def _keep(self, answer: Answer) -> None:
        for cookie in answer.set_cookies:  # in their order, as browsers do
            name, _, value = cookie.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            elif "; Max-Age=0;" in cookie:
                self.cookies.pop(name, None)


async def call(app: ASGIApp, scope: MutableMapping[str, Any], messages: Sequence[dict[str, Any]]) -> Answer:
    """Run an application on a scope, with these messages and then the client's end."""
    queue = list(messages)
    status, headers, body = 0, list[tuple[bytes, bytes]](), b""

    async def receive() -> dict[str, Any]:
        if queue:
            return queue.pop(0)
        await asyncio.sleep(0)
        return {"type": "http.disconnect" if scope["type"] == "http" else "websocket.disconnect", "code": 1000}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers, body
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            status, headers = message["status"], list(message["headers"])
        elif kind in {"http.response.body", "websocket.http.response.body"}:
            body += message.get("body", b"")
        elif kind == "websocket.accept":
            status, headers = 101, list(message.get("headers", ()))
        elif kind == "websocket.close" and not status:
            status = 403

    error: BaseException | None = None
    try:
        await app(scope, receive, send)
    except Exception as raised:
        error = raised
    return Answer(status, headers, body, error)


def _bytes(text: Text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
