"""Private database servers from installed binaries, in a temporary folder: tests may kill them."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tools.engines import find_program

START_SECONDS = 60.0


def free_port() -> int:
    # Below the range that the system gives to clients: after a kill the port must still be there to start on.
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def _rows(output: bytes) -> list[list[str]]:
    return [line.split("\t") for line in output.decode(errors="replace").split("\n")[:-1]]


class Server:
    """A running server; ``close()`` ends it.

    Attributes:
        folder: Its data, deleted by ``close()``.
        port: On 127.0.0.1.
        suffix: Of its programs' names, where it is not the version that is installed.
    """

    name = ""
    statement_seconds = 120
    """How long `sql` waits."""
    suffix = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"asgi-sessions-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._install()
            self._start_on_some_port()
        except BaseException:
            self.close()
            raise

    def url(self, database: str) -> str:
        """Return the address of a database for SQLAlchemy."""
        raise NotImplementedError

    def sql(self, statement: str, database: str | None = None) -> list[list[str]]:
        """Run a statement as the administrator, with the server's own client; rows of texts."""
        raise NotImplementedError

    def create(self, database: str) -> None:
        """Make an empty database."""
        self.sql(f"CREATE DATABASE {database}")

    def _data_folder(self) -> str:
        raise NotImplementedError

    def _install(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _start_on_some_port(self) -> None:
        for last in (False, False, True):
            self.port = free_port()
            try:
                return self.start()
            except RuntimeError:  # another process may have taken the port meanwhile
                if last:
                    raise
        return None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: It did not come up; the message holds the end of its log.
        """
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(subprocess.CalledProcessError):
                # Somebody else's server may be the one that answers on this port.
                if self._data_folder() == str(self.folder / "data") and self.is_running:
                    return
            time.sleep(0.05)
        tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        self._end(signal.SIGKILL)
        raise RuntimeError(f"{self.name} did not start:\n{tail}")

    def stop(self) -> None:
        """Shut it down in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Take its power away."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again, on the same port with the same data, after ``stop`` or ``kill`` or while it runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            # Threads stop one by one; this returns when the last one has. From then on it has no more children.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and delete its data."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        # PostgreSQL's children leave the process group.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self.resume()
            self._process.send_signal(number)
            self._process.wait(timeout=120)
        self._process = None


class MariaDB(Server):
    """A MariaDB (or, where only that is installed, MySQL) server; the user is ``root`` without a password."""

    name = "mariadb"
    client = "mariadb"

    def url(self, database: str) -> str:
        return f"mysql+asyncmy://root@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str | None = None) -> list[list[str]]:
        command = [
            find_program(f"{self.client}{self.suffix}"),
            "--no-defaults",
            *self._client_options(),
            "-uroot",
            "-N",
            "-B",
            *([database] if database else []),
            "-e",
            statement,
        ]
        done = subprocess.run(command, check=True, capture_output=True, timeout=self.statement_seconds)
        return _rows(done.stdout)

    def _client_options(self) -> list[str]:
        return ["--protocol=tcp", "-h127.0.0.1", f"-P{self.port}"]

    def _data_folder(self) -> str:
        return self.sql("SELECT @@datadir")[0][0].rstrip("/")

    def _install(self) -> None:
        find_program(f"mariadbd{self.suffix}")
        command = [
            find_program(f"mariadb-install-db{self.suffix}"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *self._common(),
            *self._as_user(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        return [
            find_program(f"mariadbd{self.suffix}"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'server.sock'}",
            f"--pid-file={self.folder / 'server.pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--performance-schema=OFF",
            # A flush at each commit is the disk's speed, not ours. A killed process loses nothing without it.
            "--innodb-flush-log-at-trx-commit=2",
            *self._common(),
            *self._as_user(),
        ]

    def _common(self) -> list[str]:
        # In a common /tmp the temporary tables of servers that start together get in each other's way.
        return ["--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", f"--tmpdir={self.folder}"]

    def _as_user(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


class PostgreSQL(Server):
    """A PostgreSQL server; the user is ``postgres`` without a password."""

    name = "postgresql"

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str | None = None) -> list[list[str]]:
        target = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database or "postgres"]
        # Debian's in /usr/bin is a program in Perl that looks for this one, which takes four times as long.
        beside = Path(find_program(f"postgres{self.suffix}")).resolve().with_name("psql")
        command = [
            str(beside) if beside.exists() else find_program("psql"),
            "-X",
            "-A",
            "-t",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            *target,
            "-c",
            statement,
        ]
        done = subprocess.run(command, check=True, capture_output=True, timeout=self.statement_seconds)
        return _rows(done.stdout)

    def _data_folder(self) -> str:
        return self.sql("SHOW data_directory")[0][0]

    def _install(self) -> None:
        initdb = find_program(f"initdb{self.suffix}")
        find_program(f"postgres{self.suffix}")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        data = str(self.folder / "data")
        options = ["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--no-locale"]
        subprocess.run([*self._as_user(), initdb, "-D", data, *options], check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self._as_user(), find_program(f"postgres{self.suffix}"), "-D", str(self.folder / "data"), *options]

    def stop(self) -> None:
        self._end(signal.SIGINT)  # SIGTERM would wait for the clients to go

    def _as_user(self) -> list[str]:
        # PostgreSQL refuses to run as root.
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


class Redis(Server):
    """A Redis server, or Valkey where only that is installed; nobody needs a password."""

    name = "redis"

    def url(self, database: str = "0") -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def cli(self, *words: str, stdin: str | None = None) -> str:
        """Run a command, or those of `stdin`, with the server's own client, and return what it prints."""
        client = find_program("redis-cli")
        command = [client, "-h", "127.0.0.1", "-p", str(self.port), *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, input=stdin)
        return done.stdout.strip()

    def _data_folder(self) -> str:
        return self.cli("CONFIG", "GET", "dir").rpartition("\n")[2]

    def _install(self) -> None:
        find_program("redis-server")
        (self.folder / "data").mkdir()

    def _command(self) -> list[str]:
        server = find_program("redis-server")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.folder / "server.sock"),
            "dir": str(self.folder / "data"),
            "save": "",
        }
        return [server, *(part for name, value in settings.items() for part in (f"--{name}", value))]
