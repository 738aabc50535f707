"""A receiver's side of our logout tokens: a real HTTP server that answers as told, and keeps what it has heard."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import jwt

from asgi_sessions.oidc import LogoutReceiver

PATH = "/backchannel-logout"


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: Its status.
        headers: Besides its length.
        body: Its body.
        silent: Whether the connection is closed without an answer, once `Hearing.hangs` is over.
    """

    status: int = 200
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    silent: bool = False


class Hearing:
    """As a context manager it listens meanwhile.

    Args:
        audience: Its own.

    Attributes:
        heard: The tokens, unverified, one text each.
        asked: The paths of all requests, also of GET.
        answer: Called with each token; its reply.
        hangs: Set at the end, for what waits for it.
        unread: Set when whoever asked did not read an answer to its end.
    """

    def __init__(self, audience: str = "reports") -> None:
        self.audience = audience
        self.heard: list[str] = []
        self.asked: list[str] = []
        self.answer: Callable[[str], Reply] = lambda token: Reply()
        self.hangs, self.unread = threading.Event(), threading.Event()

    def as_configured(self) -> LogoutReceiver:
        return LogoutReceiver(url=f"{self.address}{PATH}", audience=self.audience)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def claims(self) -> list[dict[str, Any]]:
        return [jwt.decode(token, options={"verify_signature": False}) for token in self.heard]

    @property
    def told(self) -> list[tuple[str | None, str | None]]:
        """Session and subject of each token."""
        return [(claims.get("sid"), claims.get("sub")) for claims in self.claims]

    def __enter__(self) -> Self:
        hearing = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the name that http.server wants
                hearing.asked.append(self.path)
                self._reply(Reply())

            def do_POST(self) -> None:
                hearing.asked.append(self.path)
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                (token,) = form["logout_token"]
                hearing.heard.append(token)
                self._reply(hearing.answer(token))

            def _reply(self, reply: Reply) -> None:
                if reply.silent:
                    hearing.hangs.wait(60)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **(reply.headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    if reply.status != 204:
                        self.wfile.write(reply.body)
                except OSError:
                    hearing.unread.set()
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hangs.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
