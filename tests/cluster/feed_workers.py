"""Real workers: uvicorn processes of two workers each, and a line to every single one of them."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Self

from tests.servers import Server, free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
ANSWER_SECONDS = 60.0
SECRET = "a-secret-for-these-tests-alone-of-32-bytes-or-more"


@dataclass
class Reply:
    """What a worker answered."""

    status: int
    headers: http.client.HTTPMessage
    body: Any

    @property
    def set_cookies(self) -> list[str]:
        return self.headers.get_all("set-cookie") or []


class Line:
    """One connection, and so one worker.

    Attributes:
        pid: The worker's.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            self.pid: int = self.ask("/pid").body
        except BaseException:
            self.close()
            raise

    def ask(self, path: str, cookies: dict[str, str] | None = None, method: str = "GET") -> Reply:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        self._connection.request(method, path, headers=headers)
        response = self._connection.getresponse()
        content = response.read()
        return Reply(response.status, response.headers, json.loads(content) if content else None)

    def post(self, path: str, cookies: dict[str, str] | None = None) -> Reply:
        return self.ask(path, cookies, "POST")

    def close(self) -> None:
        self._connection.close()


class Workers:
    """Two uvicorn processes with two workers each; a context manager.

    Args:
        folder: For their logs.
        database_url: Where.
        **settings: By the names of `SessionSettings`.

    Attributes:
        lines: One to each worker.
        environment: For other processes of the same application.
    """

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        given = {"database_url": database_url, "secret_key": SECRET, "purge_interval": "0"} | settings
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASGI_SESSIONS_")}
        ours = {f"ASGI_SESSIONS_{name.upper()}": value for name, value in given.items()}
        self.environment = clean | ours | {"PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT))}
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        try:
            ports = [self._start(number) for number in range(2)]
            for port, log in zip(ports, self._logs, strict=True):
                self._wait_for(log)
                self.lines += self._lines_to_both(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for line in self.lines:
            line.close()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)

    @property
    def log(self) -> str:
        return "\n".join(log.read_text(errors="replace") for log in self._logs)

    def run(self, code: str) -> str:
        """Run a program of another process with the same settings; returns what it prints."""
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(
            command, env=self.environment, cwd=self._folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self, number: int) -> int:
        port = free_port()
        log = self._folder / f"uvicorn{number}.log"
        command = [sys.executable, "-m", "uvicorn", "tests.cluster.feed_app:app", "--port", str(port)]
        command += ["--workers", "2", "--no-access-log", "--timeout-keep-alive", "600"]
        # On a busy machine a worker needs longer than 5 s to its first sign of life, and is not to be killed for it.
        command += ["--timeout-worker-healthcheck", "120"]
        with log.open("wb") as output:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        self._logs.append(log)
        return port

    def _wait_for(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while log.read_text(errors="replace").count("Application startup complete") < 2:
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                raise RuntimeError(f"The workers did not start:\n{self.log[-3000:]}")
            time.sleep(0.05)

    def _lines_to_both(self, port: int) -> list[Line]:
        found: dict[int, Line] = {}
        deadline = time.monotonic() + START_SECONDS
        while len(found) < 2:
            if time.monotonic() > deadline:
                raise RuntimeError("one of two workers takes no connection")
            line = Line(port)
            if line.pid in found:
                line.close()
            else:
                found[line.pid] = line
        return list(found.values())


@dataclass
class Jar:
    """A browser's cookies, which may be copied."""

    cookies: dict[str, str] = field(default_factory=dict)
    handle: str = ""

    @classmethod
    def logged_in(cls, line: Line, user: str) -> "Jar":
        reply = line.post(f"/login/{user}")
        assert reply.status == 200, reply
        jar = cls(handle=reply.body["handle"])
        jar.take(reply)
        return jar

    def take(self, reply: Reply) -> None:
        for header in reply.set_cookies:
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value

    def copy(self) -> "Jar":
        return Jar(dict(self.cookies), self.handle)


class ServerLog:
    """The statements that a database server has received in one database, in its own words.

    Attributes:
        statements: Since the last `clear`.
    """

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database
        if server.name == "mariadb":
            server.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
        else:  # for connections that come from now on
            server.sql(f"ALTER DATABASE {database} SET log_statement = 'all'")
            server.sql("ALTER SYSTEM SET autovacuum = off")  # its transactions are counted, too
            server.sql("SELECT pg_reload_conf()")
        self.clear()

    def clear(self) -> None:
        if self._server.name == "mariadb":
            self._server.sql("TRUNCATE mysql.general_log")
        self._offset = self._file.stat().st_size

    def off(self) -> None:
        if self._server.name == "mariadb":
            self._server.sql("SET GLOBAL general_log = OFF")
        else:
            self._server.sql("ALTER SYSTEM RESET autovacuum")
            self._server.sql("SELECT pg_reload_conf()")

    @property
    def statements(self) -> list[str]:
        if self._server.name == "mariadb":
            rows = self._server.sql(
                "SELECT REPLACE(argument, '\\n', ' ') FROM mysql.general_log"
                " WHERE command_type IN ('Query', 'Execute', 'Prepare') AND argument NOT LIKE '%general_log%'"
                " AND argument NOT LIKE 'select @@version_comment%' AND argument NOT LIKE 'SHOW GLOBAL STATUS%'"
            )
            return [row[0] for row in rows]
        with self._file.open("rb") as log:
            log.seek(self._offset)
            text = log.read().decode(errors="replace").replace("\n\t", " ")
        return re.findall(r"LOG:  (?:execute [^:\n]*|statement): (.*)", text)

    @property
    def _file(self) -> Path:
        return self._server.folder / "server.log"


def counters(server: Server, database: str) -> int:
    """How many statements the server has counted: all of MariaDB's, the autocommit transactions of PostgreSQL's."""
    if server.name == "mariadb":
        ((_, value),) = server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(value)
    ((value,),) = server.sql(f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{database}'")
    return int(value)
