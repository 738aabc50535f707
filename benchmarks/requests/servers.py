"""uvicorn processes of the benchmark over HTTP, seen from outside."""

import os
import socket
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

from benchmarks.requests.environments import Environment
from benchmarks.requests.jars import HEADERS, Jar
from benchmarks.requests.workers import LAUNCH, WorkerFailed

START_SECONDS = 60.0


class UvicornServer:
    """One worker.

    Attributes:
        port: On 127.0.0.1.
    """

    def __init__(self, app: str, environment: Environment, variables: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
            self.port: int = listening.getsockname()[1]
            descriptor = listening.fileno()
            self._process = subprocess.Popen(
                [environment.python, "-P", str(LAUNCH), "server", app, str(descriptor)],
                env=environment.variables | variables,
                pass_fds=[descriptor],
                stdin=subprocess.PIPE,
            )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def cpu_seconds(self) -> float:
        """Return the CPU time of all threads so far, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, method: str, path: str, jar: Jar) -> tuple[int, bytes, list[str]]:
        """Send one request on a connection of its own; status, body and cookies, which the jar takes."""
        headers = dict(HEADERS)
        if jar.header is not None:
            headers["cookie"] = jar.header
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            set_cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
        finally:
            connection.close()
        jar.take(set_cookies)
        return response.status, body, set_cookies

    def answer_bytes(self, path: str, jar: Jar) -> int:
        """Return how many bytes the answer to a GET is on the wire, its head included."""
        cookies = f"cookie: {jar.header}\r\n" if jar.header else ""
        headers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS)
        question = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}{cookies}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(question.encode())
            answer = b""
            while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
                answer += connection.recv(65536)
        return len(answer)

    def _wait(self) -> None:
        # The socket takes connections from the beginning; an answer tells that the application has started.
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self.request("GET", "/", Jar())
            except OSError:
                if self._process.poll() is not None:
                    raise WorkerFailed(f"uvicorn: exit status {self._process.returncode}") from None
                time.sleep(0.05)
            else:
                return
        raise WorkerFailed("uvicorn did not start")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "UvicornServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
