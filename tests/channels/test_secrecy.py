"""The channel's address is a secret, and what is wrong with it is said without it."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asgi_sessions import ConfigurationError, SessionSettings
from asgi_sessions.revocation.channel import WakeUps
from asgi_sessions.revocation.postgresql_channel import PostgreSQLChannel
from asgi_sessions.settings import policy_summary, weakened_defaults
from asgi_sessions.store.engine import open_database
from tests.certificates import make_certificate
from tests.channels.conftest import NAME, new_worker, times, until
from tests.channels.test_lost import BACK, LOST, UNSAID, client_of
from tests.servers import Redis, free_port

CANARY = "hunter2-canary"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(formatter.format(record) for record in caplog.records)


async def test_a_wrong_password_is_told_and_not_shown(
    live_redis: Redis, sqlite_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    live_redis.cli("ACL", "SETUSER", "app", "on", ">right", "~*", "&*", "+@all")
    url = f"redis://app:{CANARY}@127.0.0.1:{live_redis.port}"
    async with new_worker({"database_url": sqlite_url, "revocation_channel_url": url}) as sessions:
        await until(lambda: times(caplog, LOST) == 1)
        issued = await sessions.create_new_session_without_request("alice")
        assert await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        await until(lambda: times(caplog, UNSAID) == 1)
    assert "AuthenticationError" in logged(caplog)
    out, err = capfd.readouterr()
    assert CANARY not in logged(caplog) + out + err


async def a_logout_is_heard(settings: dict[str, str], redis: Redis) -> None:
    """Of two workers on this channel one ends a session, and the other refuses it."""
    async with new_worker(settings) as here, new_worker(settings) as there:
        await until(lambda: redis.cli("PUBSUB", "NUMSUB", NAME).split()[1] == "2")
        client, handle = await client_of(here, there)
        await here.revoke_session_using_session_handle(handle)
        await client.is_refused_soon()


async def test_a_user_who_may_do_nothing_else_is_enough(
    live_redis: Redis, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    live_redis.cli(
        "ACL", "SETUSER", "app", "reset", "on", ">right", f"&{NAME}", "+subscribe", "+publish", "+ping"
    )  # fmt: skip
    settings = {
        "database_url": sqlite_url,
        "revocation_channel_url": f"valkey://app:right@127.0.0.1:{live_redis.port}/0",
    }
    await a_logout_is_heard(settings, live_redis)
    assert not times(caplog, LOST)


async def test_a_unix_socket(live_redis: Redis, sqlite_url: str) -> None:
    settings = {
        "database_url": sqlite_url,
        "revocation_channel_url": f"unix://{live_redis.folder / 'server.sock'}?db=0",
    }
    await a_logout_is_heard(settings, live_redis)


async def test_postgresql_s_password_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    database = await open_database(f"postgresql+asyncpg://app:{CANARY}@127.0.0.1:{free_port()}/{CANARY}")
    wake_ups = WakeUps(PostgreSQLChannel(database, NAME), lambda: None)
    wake_ups.start()
    wake_ups.publish()
    await until(lambda: times(caplog, LOST) == 1 and times(caplog, UNSAID) == 1)
    await wake_ups.close()
    await database.close()
    assert CANARY not in logged(caplog)


def settings_with(url: object) -> SessionSettings:
    return SessionSettings(revocation_channel_url=url)


GOOD = [
    "redis://cache",
    "redis://cache:6379/0",
    "REDIS://cache/",
    "rediss://user:p%2Fw@cache:6380/1",
    "rediss://cache?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
    "valkey://:password@cache",
    "valkeys://cache?ssl_ca_path=/etc/ssl",
    "redis://[::1]:6379",
    "unix:///run/redis.sock",
    "unix://user@/run/redis.sock?db=1&password=secret",
]


@pytest.mark.parametrize("url", GOOD)
def test_an_address_of_redis_or_valkey_is_taken_as_a_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(url)
    assert settings.revocation_channel_url is not None
    assert settings.revocation_channel_url.get_secret_value() == url
    shown = repr(settings) + str(policy_summary(settings)) + str(weakened_defaults(settings))
    assert url not in shown
    assert policy_summary(settings)["revocation_channel_url"] == "set"
    monkeypatch.setenv("ASGI_SESSIONS_REVOCATION_CHANNEL_URL", url)
    assert SessionSettings() == settings


@pytest.mark.parametrize("url", [None, "", "none", " "])
def test_without_an_address_there_is_none(url: object) -> None:
    assert settings_with(url).revocation_channel_url is None


BAD = [
    CANARY,
    f"http://{CANARY}",
    f"redis:{CANARY}",
    f"redis:///{CANARY}",
    f"redis://user:{CANARY}@/0",
    f"redis://host:{CANARY}/0",
    f"redis://:{CANARY}/x@host",
    f"redis://:{CANARY}#x@host",
    f"redis://:{CANARY}?x@host",
    f"redis://host/{CANARY}",
    f"redis://host?db={CANARY}",
    f"redis://host?{CANARY}",
    f"redis://host?password=#{CANARY}",
    f"redis://host:99999/{CANARY}",
    "redis://host:0",
    "redis://host?ssl_ca_certs=/ca.pem",
    "rediss://host?ssl_cert_reqs=none",
    "rediss://host?ssl_check_hostname=false",
    "rediss://host?ssl_ca_certs=",
    "redis://host?password=",
    "redis://host?socket_timeout=1",
    f"redis://[{CANARY}",
    f"unix://{CANARY}/redis.sock",
    "unix://",
    "unix:///",
    f"sentinel://{CANARY}",
    [CANARY],
    7,
]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_address_is_a_configuration_error_without_the_value(url: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_with(url)
    (problem,) = caught.value.problems
    assert problem.startswith("revocation_channel_url: ")
    seen: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not any(CANARY in f"{error!r}" for error in seen)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "redis.asyncio", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"revocation_channel_url: .*asgi-user-sessions\[redis\]"):
        settings_with("redis://host")
    assert SessionSettings().revocation_channel_url is None


def test_the_package_is_imported_only_where_it_is_used() -> None:
    program = """
import asyncio, sys
from asgi_sessions import SessionManager, SessionSettings

async def main():
    async with SessionManager(SessionSettings(database_url="sqlite+aiosqlite://")):
        assert "redis" not in sys.modules and "asyncpg" not in sys.modules

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


class TlsRedis(Redis):
    """Speaks TLS on a second port, with a certificate of its own authority.

    Attributes:
        tls_port: On 127.0.0.1, for which the certificate is good.
        authority: The path of the authority's certificate.
    """

    def _install(self) -> None:
        super()._install()
        self.tls_port = free_port()
        self.authority, self._key = make_certificate(self.folder)

    def _command(self) -> list[str]:
        tls = {
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(self.authority),
            "tls-key-file": str(self._key),
            "tls-auth-clients": "no",
        }
        return [*super()._command(), *(part for name, value in tls.items() for part in (f"--{name}", value))]


@pytest.fixture
def tls_redis(redis: Redis) -> Iterator[TlsRedis]:
    """Started only where Redis is installed."""
    server = TlsRedis()
    yield server
    server.close()


async def test_tls_verifies_the_server_and_its_name(
    tls_redis: TlsRedis, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    trusted = f"?ssl_ca_certs={tls_redis.authority}"
    for address, is_heard in (
        (f"127.0.0.1:{tls_redis.tls_port}{trusted}", True),
        (f"127.0.0.1:{tls_redis.tls_port}", False),
        (f"localhost:{tls_redis.tls_port}{trusted}", False),
    ):
        caplog.clear()
        settings = {"database_url": sqlite_url, "revocation_channel_url": f"rediss://{address}"}
        async with new_worker(settings):
            if is_heard:
                await until(lambda: tls_redis.cli("PUBSUB", "NUMSUB", NAME).split()[1] == "1")
            else:
                await until(lambda: times(caplog, LOST) == 1)
    assert not times(caplog, BACK)


CONNECTS = {"prepared_statement_cache_size=0&ssl=disable": True, "ssl=verify-full": False}


@pytest.mark.parametrize("options", CONNECTS)
async def test_postgresql_is_listened_to_as_the_engine_connects(
    postgresql_url: str,
    caplog: pytest.LogCaptureFixture,
    options: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(make_certificate(tmp_path)[0]))
    database = await open_database(f"{postgresql_url}?{options}")
    heard = asyncio.Event()
    wake_ups = WakeUps(PostgreSQLChannel(database, NAME), heard.set)
    wake_ups.start()
    await until(lambda: heard.is_set() or times(caplog, LOST) == 1)
    assert heard.is_set() == CONNECTS[options]  # the server speaks no TLS
    await wake_ups.close()
    await database.close()
