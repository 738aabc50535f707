"""Addresses that name several servers of one cluster: ``mysql+asyncmy://user@db1:3306,db2:3306/app``.

SQLAlchemy's `URL` has one host. Several stand in it as SQLAlchemy documents it for PostgreSQL, as parameters ``host``
of the form ``db1:3306``; so they may be written in an address, of MySQL and MariaDB too.
"""

import re
from typing import NamedTuple

from sqlalchemy.engine import URL, make_url

__all__ = ["Host", "HostsProblem", "hosts_of", "parse_url"]

_PORTS = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432}
_USER = r"(?:[^:/@]*(?::[^@]*)?@)?+"  # as SQLAlchemy reads it: a password may have a comma or a slash
_AUTHORITY = re.compile(rf"(?P<before>[^:/]+://{_USER})(?P<hosts>[^@/?]*,[^@/?]*)(?P<rest>(?:[/?].*)?)", re.DOTALL)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\s:/,\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


class HostsProblem(ValueError):
    """Several hosts are named in a way that cannot be read; the text says how, and repeats nothing of the address."""


class Host(NamedTuple):
    """Where one of several servers listens.

    Attributes:
        name: Its name or address.
        port: From 1 to 65535.
    """

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def parse_url(text: str) -> URL:
    """Read an address. Several hosts become parameters, each with its port.

    Raises:
        ArgumentError: It is no URL.
        HostsProblem: Several hosts are named, and one of them cannot be read.
        ValueError: The port of a single host is no number.
    """
    several = _AUTHORITY.fullmatch(text)
    url = make_url(text if several is None else several["before"] + several["rest"])
    if several is not None and "host" in url.query:
        raise HostsProblem("must name its hosts once: before the database, or as parameters")
    named = several["hosts"].split(",") if several is not None else _in_parameters(url)
    if not named:
        return url
    hosts = tuple(str(_host(part, url)) for part in named)
    return url.set(host=None, port=None).difference_update_query(["port"]).update_query_dict({"host": hosts})


def hosts_of(url: URL) -> tuple[Host, ...]:
    """The servers that an address of `parse_url` names, if it names several."""
    return tuple(_host(part, url) for part in _in_parameters(url))


def _in_parameters(url: URL) -> list[str]:
    """The hosts among the parameters: several ``host``, or one with commas, as libpq has it; ports there, or apart."""
    given, apart = url.query.get("host", ()), url.query.get("port", ())
    if url.get_backend_name() not in _PORTS or not given:
        return []
    hosts = [given] if isinstance(given, str) else list(given)
    hosts = [host for part in hosts for host in part.split(",")]
    if len(hosts) < 2:
        return []
    ports = apart.split(",") if isinstance(apart, str) else list(apart)
    if not ports:
        return hosts
    if len(ports) not in (1, len(hosts)):
        raise HostsProblem("must have one port, or one for each host")
    return [f"{host}:{port}" for host, port in zip(hosts, ports * (len(hosts) // len(ports)), strict=True)]


def _host(text: str, url: URL) -> Host:
    found = _HOST.fullmatch(text)
    if found is None:
        raise HostsProblem("must name its hosts as host:port,host:port")
    port = int(found["port"] or _PORTS[url.get_backend_name()])
    if not 0 < port < 65_536:
        raise HostsProblem("must have a port from 1 to 65535")
    return Host(found["v6"] or found["name"], port)
