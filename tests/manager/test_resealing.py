"""The seal of a key binds its table; what an older version sealed opens once, at the upgrade, and never again."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, SessionManager, SessionSettings
from asgi_sessions.manager import resealing
from asgi_sessions.protocol.sealing import Sealer
from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore
from tests.clocks import MovableClock
from tests.manager.conftest import SECRET

NEWER = "0123456789abcdef0123456789abcdef-newer"
SEALS = "SELECT seal_id FROM {}signing_keys ORDER BY purpose, serial"
Sql = Callable[..., list[Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def sql(path: Path) -> Sql:
    def run(statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run


def manager(path: Path, prefix: str = "shop_", **settings: Any) -> SessionManager:
    values = {"table_prefix": prefix, "secret_key": SECRET, "purge_interval": 0, **settings}
    clock = values.pop("clock", None)
    built = SessionSettings(database_url=f"sqlite+aiosqlite:///{path}", **values)
    return SessionManager(built) if clock is None else SessionManager(built, clock=clock)


def sealed_as_before(sql: Sql, prefix: str = "shop_", secret: str = SECRET) -> None:
    """Seal every key as version 0.1 did, and forget that a newer version has been here."""
    sealer, older = Sealer([SECRET.encode()], prefix), Sealer([secret.encode()], None)
    for purpose, serial, key_id, algorithm, material, seal_id in sql(
        f"SELECT purpose, serial, key_id, algorithm, material, seal_id FROM {prefix}signing_keys"
    ):
        opened = sealer.open(material, seal_id, key_id, algorithm, purpose)
        sealed, older_id = older.seal(opened, key_id, algorithm, purpose)
        sql(
            f"UPDATE {prefix}signing_keys SET material = ?, seal_id = ? WHERE purpose = ? AND serial = ?",
            sealed,
            older_id,
            purpose,
            serial,
        )
    sql(f"DELETE FROM {prefix}state")


@asynccontextmanager
async def logged_in(path: Path, **settings: Any) -> AsyncIterator[str]:
    async with manager(path, **settings) as sessions:
        yield (await sessions.create_new_session_without_request("alice")).refresh_token.value


@pytest.mark.parametrize("prefix", ["staff_", "sho"])
async def test_rows_of_another_table_do_not_open(path: Path, sql: Sql, prefix: str) -> None:
    async with manager(path), manager(path, prefix):
        pass
    sql(f"DELETE FROM {prefix}signing_keys")
    sql(f"INSERT INTO {prefix}signing_keys SELECT * FROM shop_signing_keys")
    with pytest.raises(ConfigurationError, match="another table"):
        await manager(path, prefix).start()


async def test_a_row_of_another_table_that_comes_later_is_not_used(
    path: Path, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    async with manager(path), manager(path, "staff_") as staff:
        sql("UPDATE shop_signing_keys SET serial = 7")
        sql("INSERT INTO staff_signing_keys SELECT * FROM shop_signing_keys")
        known = staff.lifecycle.keys.keyring.keys
        assert await staff.lifecycle.keys.reload_for_unknown_key()
        assert staff.lifecycle.keys.keyring.keys == known
    assert sum("cannot be opened" in record.getMessage() for record in caplog.records) == 2


async def test_the_key_of_one_purpose_is_none_of_another(path: Path, sql: Sql) -> None:
    async with manager(path):
        pass
    sql("UPDATE shop_signing_keys SET serial = 1, purpose = 'refresh' WHERE purpose = 'access'")
    with pytest.raises(ConfigurationError):
        await manager(path).start()


async def test_an_unsealed_key_of_another_purpose_makes_nothing_that_its_own_takes(path: Path, sql: Sql) -> None:
    """Without a secret_key nothing binds a row, but what is derived from it differs by purpose."""
    async with manager(path, secret_key=None) as sessions:
        access = sessions.lifecycle.keys.keyring.newest
    sql("DELETE FROM shop_signing_keys WHERE purpose = 'refresh'")
    sql("INSERT INTO shop_signing_keys SELECT 'refresh', 1, 'feedfacefeedface', algorithm, material, "
        "seal_id, signs_from, created_at FROM shop_signing_keys")  # fmt: skip
    async with manager(path, secret_key=None) as sessions:
        keys = sessions.lifecycle.keys
        issued = await sessions.create_new_session_without_request("alice")
        assert keys.keyring.newest.secret == access.secret
        wrapping = [*keys.refresh_tokens._envelope._keys.values(), *keys.retry_markers._envelope._keys.values()]
        assert len({access.secret, bytes(access.sign_key), *wrapping}) == 4  # type: ignore[arg-type]  # HS256: bytes
        assert await sessions.lifecycle.verifier.authentic(issued.refresh_token.value) is None
        assert keys.refresh_tokens.decode(issued.access_token.value) is None


@pytest.mark.parametrize("secret_key", [SECRET, [NEWER, SECRET]])
async def test_what_an_older_version_sealed_opens_at_the_upgrade_and_is_sealed_anew(
    path: Path, sql: Sql, secret_key: Any
) -> None:
    async with logged_in(path) as token:
        pass
    sealed_as_before(sql)
    before = sql(SEALS.format("shop_"))
    async with manager(path, secret_key=secret_key) as sessions:
        await sessions.refresh_session_without_request(token)
        expected = Sealer([(secret_key if isinstance(secret_key, str) else NEWER).encode()], "shop_").current_seal_id
        assert sql(SEALS.format("shop_")) == [(expected,), (expected,)] != before


async def test_eight_workers_upgrade_at_once(path: Path, sql: Sql) -> None:
    async with logged_in(path) as token:
        pass
    sealed_as_before(sql)
    workers = [manager(path) for _ in range(8)]
    await asyncio.gather(*(worker.start() for worker in workers))
    try:
        await workers[3].refresh_session_without_request(token)
        assert len({worker.lifecycle.keys.keyring.newest.key_id for worker in workers}) == 1
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


async def test_a_worker_that_dies_while_it_seals_anew_leaves_the_rest_to_the_next(
    path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged_in(path) as token:
        pass
    sealed_as_before(sql)
    reseal = SigningKeyStore.reseal

    async def dies(self: SigningKeyStore, row: KeyRow, *values: Any) -> bool:
        await reseal(self, row, *values)
        raise ConnectionResetError

    with monkeypatch.context() as dying:
        dying.setattr(SigningKeyStore, "reseal", dies)
        with pytest.raises(ConnectionResetError):
            await manager(path).start()
    assert len(set(sql(SEALS.format("shop_")))) == 2
    async with manager(path) as sessions:
        await sessions.refresh_session_without_request(token)


async def test_after_the_upgrade_an_older_seal_opens_no_more(
    path: Path, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even one of this table; else a row of another table's past would do."""
    clock = MovableClock()
    async with manager(path, clock=clock):
        pass
    sealed_as_before(sql)
    async with manager(path, clock=clock):
        pass
    older = Sealer([SECRET.encode()], None)
    material, seal_id = older.seal(bytes(32), "feedfacefeedface", "HS256", "access")
    sql(
        "INSERT INTO shop_signing_keys VALUES ('access', 1, 'feedfacefeedface', 'HS256', ?, ?, ?, 0)",
        material,
        seal_id,
        clock.now,
    )
    # It keeps no worker from starting, since one of the older version may have made it meanwhile, nor from rotating.
    async with manager(path, clock=clock) as sessions:
        assert "feedfacefeedface" not in {key.key_id for key in sessions.lifecycle.keys.keyring.keys}
        clock.advance(days=2)
        await sessions.create_new_session_without_request("alice")
        clock.advance(61)
        await sessions.create_new_session_without_request("alice")
        assert [key.serial for key in sessions.lifecycle.keys.keyring.keys] == [0, 2]
    assert any("feedfacefeedface cannot be opened" in record.getMessage() for record in caplog.records)


async def test_in_a_new_database_an_older_seal_never_opens(path: Path, sql: Sql) -> None:
    async with manager(path):
        pass
    state = sql("SELECT name, value FROM shop_state")
    sealed_as_before(sql)
    for name, value in state:
        sql("INSERT INTO shop_state VALUES (?, ?)", name, value)
    before = set(sql("SELECT key_id FROM shop_signing_keys"))
    async with manager(path) as sessions:
        used = {key.key_id for key in sessions.lifecycle.keys.keyring.keys}
        assert used.isdisjoint(key_id for (key_id,) in before)


async def test_an_upgrade_with_the_wrong_secret_is_refused_and_can_be_tried_again(path: Path, sql: Sql) -> None:
    async with logged_in(path) as token:
        pass
    sealed_as_before(sql)
    with pytest.raises(ConfigurationError, match="secret_key"):
        await manager(path, secret_key=NEWER).start()
    assert (resealing.RESEALED,) not in sql("SELECT name FROM shop_state")
    async with manager(path) as sessions:
        await sessions.refresh_session_without_request(token)


async def test_the_upgrade_says_nothing_secret(path: Path, sql: Sql, caplog: pytest.LogCaptureFixture) -> None:
    async with manager(path):
        pass
    sealed_as_before(sql)
    with caplog.at_level(logging.DEBUG):
        async with manager(path):
            pass
    assert SECRET not in caplog.text
