"""A private HAProxy before several servers: it passes bytes on, and knows only who takes connections."""

import re
import socket
from collections.abc import Sequence

from sqlalchemy import make_url

from tests.clusters.nodes import Pausable
from tests.clusters.recipes import recipe
from tests.servers import Server
from tools.engines import find_program


class HAProxy(Pausable):
    """One address for all of them.

    Args:
        servers: Those behind it. A server counts as down after two checks found its port closed; its connections
            are cut then.
        first_alive: Whether all connections go to the first that is there, and not to each in turn.
    """

    name = "haproxy"

    def __init__(self, servers: Sequence[Server], *, first_alive: bool = False) -> None:
        self._servers = servers
        self._first_alive = first_alive
        super().__init__()

    def url(self, database: str) -> str:
        """Return what the servers' own addresses are, with the proxy's port."""
        return make_url(self._servers[0].url(database)).set(port=self.port).render_as_string(hide_password=False)

    def alive(self) -> list[int]:
        """Return the ports of the servers that it takes for alive."""
        rows = [line.split(",") for line in self._ask("show stat").splitlines() if line.startswith("all,")]
        names = {f"server-{server.port}": server.port for server in self._servers}
        return [names[row[1]] for row in rows if row[1] in names and row[17].startswith("UP")]

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.folder / "server.sock"))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()

    def _data_folder(self) -> str:
        try:
            self._ask("show info")
        except OSError:
            return ""
        return str(self.folder / "data")  # its socket is in its folder

    def _install(self) -> None:
        (self.folder / "data").mkdir()

    def _command(self) -> list[str]:
        ports = [server.port for server in self._servers]
        lines = [f"    server server-{port} 127.0.0.1:{port}" for port in ports]
        if self._first_alive:
            lines[1:] = [f"{line} backup" for line in lines[1:]]
        servers = "\n".join(lines)
        file = self.folder / "data" / "haproxy.cfg"
        text = re.sub(r"^ +server .*\n", "", recipe("haproxy.cfg"), flags=re.MULTILINE)
        text = text.replace("bind :3306", f"bind 127.0.0.1:{self.port}")
        file.write_text(f"global\n    stats socket {self.folder / 'server.sock'} level admin\n{text}{servers}\n")
        return [find_program("haproxy"), "-db", "-f", str(file)]
