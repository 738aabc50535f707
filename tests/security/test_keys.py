"""A copy of the database forges nothing, and writing into it opens no door."""

import base64
import hashlib
import hmac
import itertools
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, SessionManager, SessionSettings
from asgi_sessions.protocol.sealing import Sealer, derive
from tests.security import forging
from tests.security.browser import Browser
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, SECRET, TABLES, Shop, open_shop

OTHER_SECRET = "another-secret-key-0123456789-abcdefghijklmnopqr"
PURPOSES = ("access-token", "refresh-token", "retry-marker", "seal", "seal-id")


def as_keys(value: Any) -> Iterator[bytes]:
    """Everything that somebody would try to make of a value that he found."""
    raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode()
    forms = {raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"="), raw[12:]}
    forms |= {hashlib.sha256(form).digest() for form in tuple(forms)}
    for form in forms:
        yield form
        if form:
            yield from (derive(form, purpose) for purpose in PURPOSES)


def refresh_tokens(genuine: str, handle: str, secret: bytes, keys: list[bytes]) -> Iterator[str]:
    """Refresh tokens with this secret, under every key; the layout is no secret."""
    raw = forging.decoded(genuine)
    head, body = raw[:9], raw[9:-32]
    body = bytes.fromhex(handle) + body[16:33] + secret.ljust(32, b"\x00")[:32] + body[65:]
    for key in keys:
        yield forging.encoded(head + body + hmac.digest(key, head + body, "sha256"))


async def test_keys_a_dump_without_the_secret_key_forges_nothing(any_shop: Shop) -> None:
    victim, attacker = await any_shop.login("alice"), await any_shop.login("mallory")
    any_shop.clock.forward(minutes=6)
    await victim.get("/me")
    values = {value for row in await any_shop.dump() for value in row if value is not None}
    keys = sorted({key for value in values for key in as_keys(value)})
    handle = (await victim.get("/me")).json()["handle"]

    # Access tokens: the attacker's own, changed, under the key id that they name. Judged by the verifier that the
    # middleware asks, a thousand times faster; the last few go all the way.
    head = forging.head(attacker.cookies[ACCESS])
    body = forging.claims(attacker.cookies[ACCESS]) | {"sub": "alice", "sid": handle}
    forged = [forging.written(head, body, key) for key in keys]
    verifier = any_shop.manager.lifecycle.verifier
    assert [token for token in forged if await verifier.authentic(token) is not None] == []
    for token in forged[:20]:
        assert (await any_shop.browser().get("/me", cookies=[(ACCESS, token)])).status == 401

    # Refresh tokens: the dump holds the hashes of hashes of their secrets.
    refresher = any_shop.manager.lifecycle.refresher
    hashes = [value for value in values if isinstance(value, bytes) and len(value) == 32]
    assert len(hashes) >= 2
    for secret in hashes:
        for token in refresh_tokens(attacker.cookies[REFRESH], handle, secret, keys):
            assert await refresher.authentic(token) is None
    for value in values:
        raw = bytes(value) if isinstance(value, bytes) else str(value).encode()
        for text in (raw.decode("latin-1"), raw.hex(), forging.encoded(raw)):
            for name in (ACCESS, REFRESH):
                clean = text.replace(";", "").encode("latin-1", "ignore").decode("latin-1")
                answer = await any_shop.browser().post("/auth/session/refresh", cookies=[(name, clean)])
                assert answer.status == 401


async def test_keys_no_key_and_no_token_is_in_the_dump(any_shop: Shop) -> None:
    browser = await any_shop.login()
    dump = b"\x00".join(
        bytes(value) if isinstance(value, bytes) else str(value).encode()
        for row in await any_shop.dump()
        for value in row
    )
    keys = any_shop.manager.lifecycle.keys
    decoded = keys.refresh_tokens.decode(browser.cookies[REFRESH])
    assert decoded is not None
    for secret in (
        keys.keyring.newest.secret,
        bytes(keys.keyring.newest.sign_key),  # type: ignore[arg-type]  # HS256: bytes
        decoded.secret,
        decoded.token_hash,
        SECRET.encode(),
        *(cookie.encode() for cookie in browser.cookies.values()),
        browser.cookies[ACCESS].rpartition(".")[2].encode(),
    ):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
            assert form not in dump


def test_keys_each_purpose_has_its_own() -> None:
    root = bytes(range(32))
    derived = [derive(root, purpose) for purpose in PURPOSES]
    assert len({root, *derived}) == 1 + len(PURPOSES)


async def test_keys_the_key_of_one_purpose_serves_no_other(shop: Shop) -> None:
    browser = await shop.login()
    keys = shop.manager.lifecycle.keys
    root = keys.keyring.newest.secret
    head, body = forging.head(browser.cookies[ACCESS]), forging.claims(browser.cookies[ACCESS])
    for purpose in ("refresh-token", "retry-marker", "seal"):
        token = forging.written(head, body, derive(root, purpose))
        assert (await shop.browser().get("/me", cookies=[(ACCESS, token)])).status == 401
    assert forging.written(head, body, derive(root, "access-token")) == browser.cookies[ACCESS]
    # The roots differ too: that of the access tokens is replaced every day, that of the refresh tokens is not.
    rows = await shop.rows("SELECT purpose, key_id FROM asgi_sessions_signing_keys")
    assert {purpose for purpose, _ in rows} == {"access", "refresh"}
    assert len({key_id for _, key_id in rows}) == 2
    refresh = [
        forging.encoded(raw[:-32] + hmac.digest(derive(root, purpose), raw[:-32], "sha256"))
        for raw in [forging.decoded(browser.cookies[REFRESH])]
        for purpose in PURPOSES
    ]
    for token in refresh:
        assert (await shop.browser().post("/auth/session/refresh", cookies=[(REFRESH, token)])).status == 401


async def test_keys_no_access_token_outlives_its_session(opening: OpenShop) -> None:
    async with opening(idle_timeout="30m", absolute_timeout="30m", access_token_lifetime="20m") as shop:
        browser = await shop.login()
        end = shop.clock.now + 30 * 60_000
        for minutes in (9, 9, 9, 2):
            shop.clock.forward(minutes=minutes)
            await browser.post("/auth/session/refresh")
            await browser.post("/payload", body=b"{}")
            assert round(forging.claims(browser.cookies[ACCESS])["exp"] * 1000) <= end


# -- somebody who can write into the database

KEY_COLUMNS = "purpose, serial, key_id, algorithm, material, seal_id, signs_from, created_at"
INSERT = (
    f"INSERT INTO asgi_sessions_signing_keys ({KEY_COLUMNS}) "
    "VALUES (:purpose, :serial, :key_id, :algorithm, :material, :seal_id, :signs_from, 0)"
)
OWN = bytes(range(100, 132))


async def _plant(shop: Shop, purpose: str, seal: str) -> dict[str, Any]:
    key_id, algorithm = "feedfacefeedface", "HS256"
    sealer = Sealer([OTHER_SECRET.encode()], "asgi_sessions_")
    material, seal_id = sealer.seal(OWN, key_id, algorithm, purpose)
    if seal == "none":
        material, seal_id = OWN, None  # type: ignore[assignment]
    elif seal == "the genuine seal's id":
        seal_id = (await shop.rows("SELECT seal_id FROM asgi_sessions_signing_keys"))[0][0]
    row = {
        "purpose": purpose,
        "serial": 1000,
        "key_id": key_id,
        "algorithm": algorithm,
        "material": material,
        "seal_id": seal_id,
        "signs_from": 0,
    }
    await shop.change(INSERT, **row)
    return row


def _with_planted_key(browser: Browser) -> list[tuple[str, str]]:
    head = forging.head(browser.cookies[ACCESS]) | {"kid": "feedfacefeedface"}
    body = forging.claims(browser.cookies[ACCESS]) | {"payload": {"role": "admin"}}
    raw = forging.decoded(browser.cookies[REFRESH])
    signed = raw[:1] + bytes.fromhex("feedfacefeedface") + raw[9:-32]
    refresh = signed + hmac.digest(derive(OWN, "refresh-token"), signed, "sha256")
    return [
        (ACCESS, forging.written(head, body, derive(OWN, "access-token"))),
        (ACCESS, forging.written(head, body, OWN)),
        (REFRESH, forging.encoded(refresh)),
    ]


@pytest.mark.parametrize("seal", ["none", "somebody else's", "the genuine seal's id"])
@pytest.mark.parametrize("purpose", ["access", "refresh"])
async def test_keys_a_planted_row_is_refused(
    any_url: str, caplog: pytest.LogCaptureFixture, purpose: str, seal: str
) -> None:
    async with open_shop(any_url) as shop:
        browser = await shop.login("mallory")
        await _plant(shop, purpose, seal)
        for cookie in _with_planted_key(browser):
            for path in ("/admin", "/auth/session/refresh"):
                assert (await shop.browser().post(path, cookies=[cookie])).status == 401
        # Nor is it taken to sign with, or to write refresh tokens with.
        again = await shop.login("mallory")
        assert forging.head(again.cookies[ACCESS])["kid"] != "feedfacefeedface"
        assert "feedfacefeedface" not in forging.decoded(again.cookies[REFRESH]).hex()
        assert any("feedfacefeedface cannot be opened" in record.getMessage() for record in caplog.records)
        assert (await browser.get("/me")).status == 200
    # A worker that starts now says so, rather than to go on with whatever is there.
    with pytest.raises(ConfigurationError, match="secret_key"):
        async with open_shop(any_url):
            pass


SWAPS = ["algorithm", "purpose", "material", "key_id", "seal_id"]


@pytest.mark.parametrize("column", SWAPS)
async def test_keys_the_seal_binds_a_row_together(any_url: str, column: str) -> None:
    async with open_shop(any_url) as shop:
        await shop.login()
        shop.clock.forward(hours=24)
        await shop.login()  # a second access key
    access = "purpose = 'access' AND serial"
    change = {
        "algorithm": f"algorithm = 'ES256' WHERE {access} = 0",
        "purpose": f"purpose = 'refresh', serial = 7 WHERE {access} = 0",
        "key_id": f"key_id = 'feedfacefeedface' WHERE {access} = 0",
        "seal_id": f"seal_id = '0011223344556677' WHERE {access} = 0",
    }
    if column == "material":
        first, second = await shop.rows(
            "SELECT material FROM asgi_sessions_signing_keys WHERE purpose = 'access' ORDER BY serial"
        )
        update = f"UPDATE asgi_sessions_signing_keys SET material = :material WHERE {access}"
        await shop.change(f"{update} = 0", material=bytes(second[0]))
        await shop.change(f"{update} = 1", material=bytes(first[0]))
    else:
        await shop.change(f"UPDATE asgi_sessions_signing_keys SET {change[column]}")
    with pytest.raises(ConfigurationError, match="secret_key"):
        async with open_shop(any_url):
            pass


async def test_keys_every_bit_of_a_sealed_key_counts(shop: Shop) -> None:
    ((material, seal_id, key_id, algorithm),) = await shop.rows(
        "SELECT material, seal_id, key_id, algorithm FROM asgi_sessions_signing_keys WHERE purpose = 'access'"
    )
    sealer = Sealer([SECRET.encode()], "asgi_sessions_")
    assert sealer.open(material, seal_id, key_id, algorithm, "access")
    for position in range(len(material)):
        broken = bytearray(material)
        broken[position] ^= 1
        with pytest.raises(Exception, match="could not be handled"):
            sealer.open(bytes(broken), seal_id, key_id, algorithm, "access")


async def test_keys_a_wrong_secret_key_does_not_start(any_url: str) -> None:
    async with open_shop(any_url) as shop:
        await shop.login()
    with pytest.raises(ConfigurationError) as caught:
        async with open_shop(any_url, secret_key=OTHER_SECRET):
            pass
    assert OTHER_SECRET not in str(caught.value)


async def test_keys_a_new_secret_key_seals_anew_and_logs_nobody_out(any_url: str) -> None:
    async with open_shop(any_url) as shop:
        browser = await shop.login()
    async with open_shop(any_url, secret_key=[OTHER_SECRET, SECRET]) as shop:
        browser.app = shop.app
        assert (await browser.get("/me")).status == 200
    async with open_shop(any_url, secret_key=OTHER_SECRET) as shop:
        browser.app = shop.app
        assert (await browser.get("/me")).status == 200
        shop.clock.forward(minutes=6)
        assert (await browser.get("/me")).status == 200
    with pytest.raises(ConfigurationError):
        async with open_shop(any_url):
            pass


async def test_keys_sealed_rows_are_not_used_without_a_secret_key(opening: OpenShop) -> None:
    async with opening() as shop:
        await shop.login()
    with pytest.raises(ConfigurationError, match="secret_key"):
        async with opening(secret_key=None):
            pass


@pytest.mark.parametrize("url", ["mysql+asyncmy://root@127.0.0.1/x", "postgresql+asyncpg://root@127.0.0.1/x"])
async def test_keys_a_shared_database_needs_a_secret_key(url: str) -> None:
    with pytest.raises(ConfigurationError, match="secret_key"):
        SessionSettings(database_url=url)


async def test_keys_a_sqlite_file_is_its_owners_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "new.db"
    manager = SessionManager(SessionSettings(database_url=f"sqlite+aiosqlite:///{path}"))
    with caplog.at_level(logging.WARNING):
        async with manager:
            await manager.create_new_session_without_request("alice")
            modes = [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("new.db*")]
    assert set(modes) == {0o600}
    assert any(record.getMessage().startswith("secret_key: none") for record in caplog.records)


async def test_keys_all_tables_are_in_the_dump(shop: Shop) -> None:
    named = await shop.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    ours = {f"asgi_sessions_{table}" for table in itertools.chain(TABLES, ["alembic_version"])}
    assert {name for (name,) in named} == ours
