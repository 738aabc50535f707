"""A start that fails says where, as whom and why, to whoever asks, on servers that really refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asgi_sessions import ConfigurationError, StoreUnavailable
from tests.failed_starts.conftest import IN_A_URL, FailToStart, MariaDBWithTLS, PostgreSQLWithTLS
from tests.servers import Server, free_port

MYSQL, POSTGRESQL = "mysql+asyncmy", "postgresql+asyncpg"
MY_SHOP, PG_SHOP = f"{MYSQL}://app:{IN_A_URL}@db/shop", f"{POSTGRESQL}://app:{IN_A_URL}@db/shop"


def address(server: Server, user: str = "app", database: str = "shop", options: str = "") -> str:
    scheme = MYSQL if isinstance(server, MariaDBWithTLS) else POSTGRESQL
    return f"{scheme}://{user}:{IN_A_URL}@127.0.0.1:{server.port}/{database}{options}"


async def refused(fail: FailToStart, server: Server, url: str, phrase: str, *, user: str, database: str) -> None:
    failure = await fail(url)
    assert type(failure.error) is StoreUnavailable
    where = f"127.0.0.1:{server.port}"
    assert str(failure.error).startswith(
        f"The session store is unavailable: {phrase.replace('HERE', where)} "
        f"(server {where}, user {user}, database {database}; "
    )


@pytest.mark.parametrize(
    ("user", "database", "phrase"),
    [
        ("stranger", "shop", "access denied for user stranger"),
        ("tls_only", "shop", "access denied for user tls_only"),  # MySQL says so, MariaDB says no more
        ("locked", "shop", "the account of user locked is locked, or its password has expired"),
        ("app", "closed", "user app may not use database closed"),
        ("app", "nowhere", "user app may not use database nowhere"),  # whether there is one is not its business
        ("reader", "shop", "user reader lacks a right in database shop"),
    ],
)
async def test_mariadb_refuses(
    user: str, database: str, phrase: str, strict_mariadb: MariaDBWithTLS, fail: FailToStart
) -> None:
    url = address(strict_mariadb, user, database)
    await refused(fail, strict_mariadb, url, phrase, user=user, database=database)


async def test_mariadb_has_no_such_database(strict_mariadb: MariaDBWithTLS, fail: FailToStart) -> None:
    url = strict_mariadb.url("nowhere")
    await refused(fail, strict_mariadb, url, "unknown database nowhere", user="root", database="nowhere")


async def test_mariadb_is_read_only(strict_mariadb: MariaDBWithTLS, fail: FailToStart) -> None:
    strict_mariadb.sql("SET GLOBAL read_only = ON")
    try:
        await refused(fail, strict_mariadb, address(strict_mariadb), "HERE is read-only", user="app", database="shop")
    finally:
        strict_mariadb.sql("SET GLOBAL read_only = OFF")


@pytest.mark.parametrize(
    ("user", "database", "phrase"),
    [
        ("unknown", "shop", "access denied for user unknown"),
        ("stranger", "shop", "HERE does not admit user stranger to database shop from here without TLS"),
        ("barred", "shop", "HERE does not admit user barred to database shop from here without TLS"),
        ("tls_only", "shop", "HERE does not admit user tls_only to database shop from here without TLS"),
        ("app", "closed", "user app may not use database closed"),
        ("app", "nowhere", "unknown database nowhere"),
        ("reader", "shop", "user reader lacks a right in database shop"),
        ("full", "shop", "HERE has as many connections as it takes"),
    ],
)
async def test_postgresql_refuses(
    user: str, database: str, phrase: str, strict_postgresql: PostgreSQLWithTLS, fail: FailToStart
) -> None:
    url = address(strict_postgresql, user, database, "?ssl=disable")
    await refused(fail, strict_postgresql, url, phrase, user=user, database=database)


async def test_postgresql_is_read_only(strict_postgresql: PostgreSQLWithTLS, fail: FailToStart) -> None:
    strict_postgresql.sql("ALTER ROLE app SET default_transaction_read_only = on")
    try:
        url = address(strict_postgresql)
        await refused(fail, strict_postgresql, url, "HERE is read-only", user="app", database="shop")
    finally:
        strict_postgresql.sql("ALTER ROLE app RESET default_transaction_read_only")


# -- TLS


@pytest.mark.parametrize("trusted", ["ssl_ca", "ssl_capath"])
async def test_mariadbs_certificate_is_not_trusted(
    trusted: str, strict_mariadb: MariaDBWithTLS, fail: FailToStart, other_certificate: Path
) -> None:
    path = other_certificate if trusted == "ssl_ca" else other_certificate.parent
    url = address(strict_mariadb, options=f"?{trusted}={path}")
    phrase = "the certificate of HERE is not trusted: self-signed certificate"
    await refused(fail, strict_mariadb, url, phrase, user="app", database="shop")


async def test_postgresqls_certificate_is_not_trusted(
    strict_postgresql: PostgreSQLWithTLS,
    fail: FailToStart,
    other_certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(other_certificate))
    url = address(strict_postgresql, options="?ssl=verify-full")
    phrase = "the certificate of HERE is not trusted: self-signed certificate"
    await refused(fail, strict_postgresql, url, phrase, user="app", database="shop")


async def test_a_server_refuses_tls(
    mariadb_without_tls: Server,
    postgresql: Server,
    fail: FailToStart,
    other_certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(other_certificate))
    for server, user, options in (
        (mariadb_without_tls, "root", f"?ssl_ca={other_certificate}"),
        (postgresql, "postgres", "?ssl=verify-full"),
    ):
        url = server.url("shop").replace("@", f":{IN_A_URL}@") + options
        await refused(fail, server, url, "HERE refuses TLS", user=user, database="shop")


# -- where no server is


@asynccontextmanager
async def talking(greeting: bytes) -> AsyncIterator[int]:
    """A server that says this and hangs up; yields its port."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("scheme", [MYSQL, POSTGRESQL])
@pytest.mark.parametrize(
    ("host", "phrase"),
    [
        ("127.0.0.1:PORT", "nothing listens on 127.0.0.1:PORT (server 127.0.0.1:PORT, user app, database shop; "),
        ("localhost:PORT", "nothing listens on localhost:PORT (server localhost:PORT, user app, database shop; "),
        ("nowhere.invalid", "unknown host nowhere.invalid (server nowhere.invalid:"),
    ],
)
async def test_nothing_is_there(scheme: str, host: str, phrase: str, fail: FailToStart) -> None:
    port = str(free_port())
    failure = await fail(f"{scheme}://app:{IN_A_URL}@{host.replace('PORT', port)}/shop")
    assert type(failure.error) is StoreUnavailable
    assert str(failure.error).startswith("The session store is unavailable: " + phrase.replace("PORT", port))


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        (f"{MYSQL}://app:{IN_A_URL}@/shop?unix_socket=/nowhere/my.sock", "/nowhere/my.sock"),
        (f"{POSTGRESQL}://app:{IN_A_URL}@/shop?host=/nowhere", "/nowhere"),
    ],
)
async def test_a_socket_is_not_there(url: str, socket: str, fail: FailToStart) -> None:
    failure = await fail(url)
    assert f": the socket {socket} does not exist, or may not be opened (" in str(failure.error)


@pytest.mark.parametrize(("scheme", "engine"), [(MYSQL, "MySQL or MariaDB"), (POSTGRESQL, "PostgreSQL")])
@pytest.mark.parametrize("greeting", [b"", b"N"])
async def test_somebody_else_listens_and_hangs_up(scheme: str, engine: str, greeting: bytes, fail: FailToStart) -> None:
    async with talking(greeting) as port:
        failure = await fail(f"{scheme}://app:{IN_A_URL}@127.0.0.1:{port}/shop")
    phrase = f": 127.0.0.1:{port} hung up: it may be no {engine} server, or refuse this machine ("
    assert phrase in str(failure.error)


# -- what the address itself has wrong


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"{MY_SHOP}?ssl_ca=/nowhere/ca.pem", "cannot read ssl_ca /nowhere/ca.pem: No such file"),
        (f"{MY_SHOP}?ssl_capath=/nowhere", "cannot read ssl_capath /nowhere: No such file"),
        (f"{MY_SHOP}?ssl_ca=CA&ssl_cert=/c.pem", "cannot read ssl_cert /c.pem: No such file"),
        (f"{MY_SHOP}?ssl_ca=CA&ssl_cert=CA&ssl_key=/k.pem", "cannot read ssl_key /k.pem: No such"),
        (f"{MY_SHOP}?ssl_ca=CA&ssl_cert=CA", "ssl_cert CA holds no certificate, or the key"),
        (f"{MY_SHOP}?ssl_ca=JUNK", "ssl_ca JUNK holds no certificate"),
        (f"{MY_SHOP}?sslmode=x", "unknown URL parameter sslmode; MySQL and MariaDB want ssl_ca="),
        (f"{MY_SHOP}?colour=red", "unknown URL parameter colour"),
        (f"{MY_SHOP}?connect_timeout=soon", "its driver takes no such host, or no such value"),
        (f"{MY_SHOP}?connect_timeout=0", "its driver takes no such host, or no such value"),
        (f"{MYSQL}://app:{IN_A_URL}@a..b/shop", "its driver takes no such host, or no such value"),
        (f"{PG_SHOP}?sslmode=x", "unknown URL parameter sslmode; PostgreSQL wants ssl=verify"),
        (f"{PG_SHOP}?colour=red&a%1b=b", "unknown URL parameter (not shown), colour"),
        (f"{PG_SHOP}?timeout=5", "its driver takes no such host, or no such value"),
        (f"{POSTGRESQL}://app:{IN_A_URL}@a..b/shop", "its driver takes no such host, or no such value"),
        (f"{PG_SHOP}?ssl=verify-full", "cannot read PGSSLROOTCERT /nowhere/ca.pem: No such"),
    ],
)
async def test_the_address_has_a_mistake(
    url: str, problem: str, fail: FailToStart, tmp_path: Path, other_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (junk := tmp_path / "junk.pem").write_text("junk")
    monkeypatch.setenv("PGSSLROOTCERT", "/nowhere/ca.pem")
    for word, path in (("CA", other_certificate), ("JUNK", junk)):
        url, problem = url.replace(f"={word}", f"={path}"), problem.replace(f" {word} ", f" {path} ")
    failure = await fail(url)
    assert type(failure.error) is ConfigurationError
    assert str(failure.error).startswith(f"database_url: {problem}")


async def test_verified_tls_on_postgresql_needs_an_authority(
    fail: FailToStart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    failure = await fail(f"{PG_SHOP}?ssl=verify-full")
    assert str(failure.error).startswith("database_url: ssl=verify-full needs the CA's file: set PGSSLROOTCERT")
