"""Servers that refuse: with TLS, with passwords, with users who may do little."""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from asgi_sessions.store import migrations
from tests.certificates import make_certificate
from tests.conftest import running
from tests.engines_used import require
from tests.failed_starts.starting import Failure, fail_to_start
from tests.servers import MariaDB, PostgreSQL

PASSWORD = "can@ary/1%"
IN_A_URL = "can%40ary%2F1%25"
"""How the password is written in an address."""

FailToStart: TypeAlias = Callable[[str], Awaitable[Failure]]


class MariaDBWithTLS(MariaDB):
    """Offers TLS; its users are made by the fixture."""

    def _command(self) -> list[str]:
        certificate, key = make_certificate(self.folder)
        return [*super()._command(), f"--ssl-cert={certificate}", f"--ssl-key={key}", "--max-connections=20"]


class MariaDBWithoutTLS(MariaDB):
    """Offers no TLS, which MariaDB does by itself from 11.4 on."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--skip-ssl"]

    def _client_options(self) -> list[str]:
        return ["--skip-ssl", *super()._client_options()]  # else it insists on TLS from 11.4 on


class PostgreSQLWithTLS(PostgreSQL):
    """Offers TLS, and asks everybody but its administrator for a password."""

    def _install(self) -> None:
        super()._install()
        for file in make_certificate(self.folder):
            if os.geteuid() == 0:
                shutil.chown(file, "postgres")
        (self.folder / "data" / "pg_hba.conf").write_text(
            "\n".join(
                (
                    "host all postgres 127.0.0.1/32 trust",
                    "host all barred 127.0.0.1/32 reject",
                    "hostssl all tls_only 127.0.0.1/32 scram-sha-256",
                    "host all app,reader,full,unknown 127.0.0.1/32 scram-sha-256",
                )
            )
        )

    def _command(self) -> list[str]:
        certificate = self.folder / "127.0.0.1.pem"
        tls = {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": certificate.with_suffix(".key")}
        return [*super()._command(), *(part for name, value in tls.items() for part in ("-c", f"{name}={value}"))]


@pytest.fixture(scope="module")
def strict_mariadb() -> Iterator[MariaDBWithTLS]:
    """A MariaDB server that offers TLS, with users of little right."""
    require("mariadb")
    server = MariaDBWithTLS()
    server.sql("CREATE DATABASE shop; CREATE DATABASE closed")
    for user, rights in (("app", "ALL"), ("reader", "SELECT"), ("tls_only", "ALL"), ("locked", "ALL")):
        server.sql(f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT {rights} ON shop.* TO {user}@'%'")
    server.sql("ALTER USER tls_only@'%' REQUIRE SSL; ALTER USER locked@'%' ACCOUNT LOCK")
    yield server
    server.close()


@pytest.fixture
def mariadb_without_tls() -> Iterator[MariaDBWithoutTLS]:
    """A MariaDB server that offers no TLS."""
    require("mariadb")
    yield from running(MariaDBWithoutTLS)


@pytest.fixture(scope="module")
def strict_postgresql() -> Iterator[PostgreSQLWithTLS]:
    """A PostgreSQL server that offers TLS and asks for passwords, with users of little right."""
    require("postgresql")
    server = PostgreSQLWithTLS()
    for user in ("app", "reader", "full", "tls_only", "barred"):
        server.sql(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    server.sql("ALTER ROLE full CONNECTION LIMIT 0")
    server.sql("CREATE DATABASE shop OWNER app")
    server.sql("CREATE DATABASE closed")
    server.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "shop")
    yield server
    server.close()


@pytest.fixture
def fail(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> FailToStart:
    """Start on this address, which must fail, in every way there is; nothing says the password."""
    caplog.set_level(0)
    monkeypatch.setattr(migrations, "MAX_TRIES", 1)  # a refusal stays one
    for name in list(os.environ):
        if name.startswith(("ASGI_SESSIONS_", "PG")):
            monkeypatch.delenv(name)

    async def run(url: str) -> Failure:
        failure = await fail_to_start(url, monkeypatch, capsys)
        said = failure.everything + caplog.text
        assert not [part for part in (PASSWORD, IN_A_URL, "canary", "can%40ary", "can@ary") if part in said]
        return failure

    return run


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority that vouches for no server here."""
    return make_certificate(tmp_path_factory.mktemp("authority"), "db.example")[0]
