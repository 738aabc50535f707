"""Another site: a server of pages that know nothing of sessions."""

import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType


class AnotherSite:
    """Serves pages on a port of its own, under any host name that means this machine.

    Args:
        pages: HTML by path. Filled in later is as good: it is read when a browser asks.
        headers: Of every answer, beside the type.
        certificate: Its file and that of its key, to serve by TLS.
    """

    def __init__(
        self,
        pages: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path)
                self.send_response(404 if page is None else 200)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        self._scheme = "http"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        if certificate is not None:
            self._scheme = "https"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            # The handshake happens in the thread of its connection: a browser opens some that it does not use.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def address(self, host: str, path: str = "/") -> str:
        """Of a page, by a host name of one's choice."""
        return f"{self._scheme}://{host}:{self._server.server_port}{path}"

    def __enter__(self) -> "AnotherSite":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
