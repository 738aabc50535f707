"""Real workers: uvicorn processes of two workers each, and a line to every single one of them."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Self

from tests.servers import Server
from tests.uvicorn_server import SECRET, START_SECONDS, UvicornServer, environment_with

ANSWER_SECONDS = 60.0


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

    Args:
        port: Where it listens.
        greet: Whether to ask at once who answers.

    Attributes:
        pid: The worker's.
    """

    def __init__(self, port: int, *, greet: bool = True) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            self.pid: int = self.ask("/pid").body if greet else 0
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
    """

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        given = {"database_url": database_url, "secret_key": SECRET, "purge_interval": "0"} | settings
        self._settings = {f"ASGI_SESSIONS_{name.upper()}": value for name, value in given.items()}
        self._folder = folder
        self._servers: list[UvicornServer] = []
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                self._servers.append(self._start())
                stack.callback(self._servers[-1].close)
            for server in self._servers:
                server.wait_until_started()
                for line in self._lines_to_both(server.port):
                    self.lines.append(line)
                    stack.callback(line.close)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def log(self) -> str:
        return "\n".join(server.log for server in self._servers)

    def run(self, code: str) -> str:
        """Run a program of another process with the same settings; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=environment_with(self._settings),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self) -> UvicornServer:
        # Four workers that start together need longer for it.
        options = ["--no-access-log", "--timeout-keep-alive", "600", "--timeout-worker-healthcheck", "120"]
        return UvicornServer("tests.cluster.feed_app:app", self._folder, self._settings, workers=2, options=options)

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
