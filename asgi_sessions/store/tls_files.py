"""The files that TLS needs: looked at before a server is, so that one that is missing is not taken for an outage."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from asgi_sessions.store.place import printable

__all__ = ["tls_files_problem"]

_MYSQL = ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key")
_POSTGRESQL = ("PGSSLROOTCERT", "", "PGSSLCERT", "PGSSLKEY")
_POSTGRESQL_CA = Path("~/.postgresql/root.crt")


def tls_files_problem(url: URL) -> str | None:
    """Say which file that this address names, or for PostgreSQL the environment, cannot be used; None where all can."""
    if url.get_backend_name() == "mysql":
        return _first_problem(_MYSQL, [_text(url.query.get(name)) for name in _MYSQL])
    if url.get_backend_name() == "postgresql" and url.query.get("ssl", "disable") != "disable":
        files = [os.environ.get(name, "") for name in _POSTGRESQL]
        if not files[0] and not _POSTGRESQL_CA.expanduser().exists():
            return f"ssl={url.query['ssl']} needs the CA's file: set PGSSLROOTCERT, or put it at {_POSTGRESQL_CA}"
        return _first_problem(_POSTGRESQL, files)
    return None


def _first_problem(names: tuple[str, ...], files: list[str]) -> str | None:
    ca, folder, certificate, key = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    checks: list[tuple[str, str, Callable[[str], object]]] = [
        (names[0], ca, lambda path: context.load_verify_locations(cafile=path)),
        (names[1], folder, os.listdir),
        (names[2], certificate, _read),
        (names[3], key, _read),
        # Without a password at hand OpenSSL would ask for it on the terminal.
        (names[2], certificate, lambda path: context.load_cert_chain(path, key or None, password=lambda: b"")),
    ]
    for name, path, check in checks:
        if path and (problem := _problem(name, path, check)):
            return problem
    return None


def _problem(name: str, path: str, check: Callable[[str], object]) -> str | None:
    try:
        check(path)
    except ssl.SSLError:
        return f"{name} {printable(path)} holds no certificate{_OR_NO_KEY.get(name, '')}"
    except (OSError, ValueError) as error:
        return f"cannot read {name} {printable(path)}: {getattr(error, 'strerror', None) or 'not a path'}"
    return None


_OR_NO_KEY = dict.fromkeys(("ssl_cert", "PGSSLCERT"), ", or the key is another one's or has a password")


def _read(path: str) -> None:
    Path(path).read_bytes()


def _text(value: str | tuple[str, ...] | None) -> str:
    return value if isinstance(value, str) else ""
