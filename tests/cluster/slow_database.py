"""A database behind a slow wire: what it answers can be held back. Threads of the test's own process carry it."""

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65536


class SlowWire:
    """Between workers and their database server; a context manager.

    Args:
        url: The database's address.

    Attributes:
        asked: Set once a statement has been sent whose answer is held back.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._quick = threading.Event()
        self._quick.set()
        self._seconds = 0.0
        self._sockets: list[socket.socket] = []
        self.asked = threading.Event()

    @property
    def url(self) -> str:
        """The database's address by way of the wire."""
        there = f"{self._url.hostname}:{self._url.port}"
        return self._url.geturl().replace(there, f"127.0.0.1:{self._listener.getsockname()[1]}")

    def hold(self) -> None:
        """Hold back all answers from now on."""
        self.asked.clear()
        self._open.clear()

    def slow(self, seconds: float) -> None:
        """Let each answer take so much longer from now on."""
        self._seconds = seconds
        self._quick.clear()

    def release(self) -> None:
        """Let them all through, at once."""
        self._open.set()
        self._quick.set()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._url.hostname, self._url.port))
                self._sockets += [client, server]
                self._start(self._carry, client, server, False)
                self._start(self._carry, server, client, True)

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if answers:
                    self._open.wait()
                    self._quick.wait(self._seconds)
                target.sendall(data)
                if not answers and not self._open.is_set():
                    self.asked.set()
            target.shutdown(socket.SHUT_RDWR)

    def _start(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]
