"""ASVS 5.0, 16.5: without the database nothing is decided. 503, never 200 where it was to be asked, cookies stay."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable, TokenTheftDetected
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.signing_keys import SigningKeyStore
from tests.clusters.workers import until
from tests.revocation.polling import grow_old, poll, stop_polling
from tests.security.browser import Answer, Browser
from tests.security.conftest import OpenShop
from tests.security.forging import of_unknown_key
from tests.security.shop import ACCESS, REFRESH, Clock, Shop, open_shop
from tests.servers import MariaDB

pytestmark = pytest.mark.usefixtures("pauses_are_short")

CHECKED = [
    ("GET", "/me"),
    ("POST", "/me"),
    ("GET", "/perhaps"),
    ("GET", "/checked"),
    ("GET", "/recent"),
    ("GET", "/admin"),
    ("GET", "/auth/session"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/" + "0" * 32),
    ("POST", "/auth/sessions/revoke-others"),
    ("POST", "/auth/session/refresh"),
    ("POST", "/auth/signout"),
    ("POST", "/logout"),
    ("POST", "/payload"),
    ("POST", "/login/alice"),
    ("POST", "/login/bob"),
]


def assert_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert answer.all("retry-after") == ["1"]
    assert answer.set_cookies == []
    assert answer.all("www-authenticate") == []


async def _serves(browser: Browser) -> bool:
    """Within a pause of the circuit, which the calls before have opened."""
    answer = await browser.get("/me")
    if answer.status != 200:
        assert_unavailable(answer)
    return answer.status == 200


async def _assert_nothing_works(shop: Shop, browser: Browser) -> None:
    for method, path in CHECKED:
        assert_unavailable(await browser.send(method, path, body=b"{}" if path == "/payload" else b""))
    assert_unavailable(await browser.connect("/socket"))
    assert (await browser.connect("/socket", denial=False)).status == 403
    assert_unavailable(await shop.browser().post("/login/carol"))


@pytest.fixture
async def at_the_server(mariadb: MariaDB, any_url: str) -> AsyncIterator[Shop]:
    """A shop on MariaDB that asks it at each request."""
    async with open_shop(any_url, revocation_check="database") as shop:
        yield shop


@contextmanager
def impatient(shop: Shop) -> Iterator[None]:
    """While the server is away a statement is given up quickly."""
    database = shop.manager._runtime()._database
    assert database is not None
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(database, "statement_timeout", 0.25)
        yield


@pytest.fixture
def running_again(mariadb: MariaDB, any_url: str) -> Iterator[None]:
    yield  # before the database is emptied for the next test
    mariadb.resume()
    if not mariadb.is_running:
        mariadb.start()


@pytest.mark.parametrize("any_url", ["mariadb"], indirect=True)
@pytest.mark.parametrize("how", ["killed", "stopped"])
@pytest.mark.usefixtures("running_again")
async def test_16_5_while_the_server_is_down(at_the_server: Shop, mariadb: MariaDB, how: str) -> None:
    shop = at_the_server
    fresh, expired, refreshed = await shop.login(), await shop.login(), await shop.login()
    before = dict(fresh.cookies)
    if how == "killed":
        mariadb.kill()
    else:
        mariadb.stop()
    with impatient(shop):
        await _assert_nothing_works(shop, fresh)
        shop.clock.forward(minutes=6)
        await _assert_nothing_works(shop, expired)
        shop.clock.forward(minutes=-6)
    assert fresh.cookies == before
    mariadb.start()
    await until(_serves, fresh)
    shop.clock.forward(minutes=6)
    for browser in (expired, refreshed):
        assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize("any_url", ["mariadb"], indirect=True)
@pytest.mark.usefixtures("running_again")
async def test_16_5_while_the_server_is_silent(at_the_server: Shop, mariadb: MariaDB) -> None:
    browser, leaving = await at_the_server.login(), await at_the_server.login()
    mariadb.pause()
    with impatient(at_the_server):
        assert_unavailable(await browser.get("/me"))
        assert_unavailable(await leaving.post("/auth/signout"))  # which the server may yet carry out
        assert_unavailable(await browser.post("/login/bob"))
        at_the_server.clock.forward(minutes=6)
        assert_unavailable(await browser.get("/me"))
    mariadb.resume()
    await until(_serves, browser)


@pytest.mark.parametrize("any_url", ["mariadb"], indirect=True)
@pytest.mark.usefixtures("running_again")
async def test_16_5_a_worker_that_starts_without_its_database_says_so(any_url: str, mariadb: MariaDB) -> None:
    mariadb.kill()
    with pytest.raises(StoreUnavailable):
        async with open_shop(any_url):
            pass


@pytest.fixture
async def without_tables(opening: OpenShop) -> AsyncIterator[tuple[Shop, Browser]]:
    """A shop that asks the table of the sessions at each request, and loses it while a user is logged in."""
    async with opening(revocation_check="database") as shop:
        browser = await shop.login()
        await shop.change("ALTER TABLE asgi_sessions_sessions RENAME TO gone")
        yield shop, browser


@pytest.mark.parametrize("minutes", [0, 6], ids=["fresh", "expired"])
async def test_16_5_a_database_that_answers_with_errors_is_down_too(
    without_tables: tuple[Shop, Browser], minutes: int
) -> None:
    shop, browser = without_tables
    shop.clock.forward(minutes=minutes)
    await _assert_nothing_works(shop, browser)
    await shop.change("ALTER TABLE gone RENAME TO asgi_sessions_sessions")
    assert (await browser.get("/me")).status == 200


async def test_16_5_every_call_without_a_request_says_so(without_tables: tuple[Shop, Browser]) -> None:
    shop, browser = without_tables
    manager = shop.manager
    for call in (
        manager.create_new_session_without_request("alice"),
        manager.get_session_without_request(browser.cookies[ACCESS]),
        manager.refresh_session_without_request(browser.cookies[REFRESH]),
        manager.revoke_session_using_session_handle("0" * 32),
        manager.revoke_all_sessions_for_user("alice"),
        manager.revoke_multiple_sessions(["0" * 32]),
        manager.revoke_sessions(),
        manager.get_all_session_handles_for_user("alice"),
        manager.list_sessions_for_user("alice"),
        manager.get_session_info("0" * 32),
        manager.update_session_info("0" * 32, {}),
        manager.change_session_info("0" * 32, lambda info: info),
        manager.purge_expired_sessions(),
    ):
        with pytest.raises(StoreUnavailable):
            await call


ON_THE_FEED = [("GET", "/me"), ("POST", "/me"), ("GET", "/perhaps"), ("GET", "/recent")]
"""Of these paths, those that ask nothing but the feed."""


async def test_16_5_on_the_feed_requests_go_on_for_as_long_as_is_allowed_and_no_longer(shop: Shop) -> None:
    browser = await shop.login()
    before = dict(browser.cookies)
    await stop_polling(shop.manager)
    await poll(shop.manager)
    await shop.change("ALTER TABLE asgi_sessions_sessions RENAME TO gone")
    with pytest.raises(StoreUnavailable):
        await poll(shop.manager)
    for method, path in ON_THE_FEED:
        assert (await browser.send(method, path)).status == 200
    for method, path in CHECKED:
        if (method, path) not in ON_THE_FEED and path not in {"/admin"}:
            assert_unavailable(await browser.send(method, path, body=b"{}" if path == "/payload" else b""))
    grow_old(shop.manager, 29)
    assert (await browser.get("/me")).status == 200
    grow_old(shop.manager, 1.001)
    await _assert_nothing_works(shop, browser)
    assert browser.cookies == before
    await shop.change("ALTER TABLE gone RENAME TO asgi_sessions_sessions")
    await poll(shop.manager)
    assert (await browser.get("/me")).status == 200


async def test_16_5_only_a_path_that_asks_the_database_needs_it(opening: OpenShop) -> None:
    async with opening(revocation_check="none") as shop:
        browser = await shop.login()
        await shop.change("ALTER TABLE asgi_sessions_sessions RENAME TO gone")
        assert (await browser.get("/me")).status == 200
        assert_unavailable(await browser.get("/checked"))
        shop.clock.forward(minutes=6)
        assert_unavailable(await browser.get("/me"))


async def test_16_5_first_use_without_the_database_never_opens_a_checked_path(opening: OpenShop) -> None:
    async with opening(promote_on="first_use", revocation_check="none", refresh="endpoint") as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=3)
        await browser.post("/auth/session/refresh")
        await shop.change("ALTER TABLE asgi_sessions_sessions RENAME TO gone")
        assert (await browser.get("/me")).status == 200
        assert_unavailable(await browser.get("/checked"))


async def test_16_5_nobody_gets_in_or_out_by_forging_while_the_database_is_down(
    without_tables: tuple[Shop, Browser],
) -> None:
    shop, browser = without_tables
    forged = [(ACCESS, of_unknown_key(browser.cookies[ACCESS], 9))]
    assert (await shop.browser().get("/checked", cookies=forged)).status in {401, 503}
    with_refresh = [*forged, (REFRESH, browser.cookies[REFRESH])]
    assert_unavailable(await browser.get("/checked", cookies=with_refresh))


async def test_16_5_keys_that_cannot_be_loaded_again_do_not_stop_those_that_are_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await shop.login()

    async def load(*_: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(SigningKeyStore, "load", load)
    unknown = await shop.browser().get("/me", cookies=[(ACCESS, of_unknown_key(browser.cookies[ACCESS], 9))])
    assert unknown.status in {401, 503}
    assert (await browser.get("/me")).status == 200
    shop.clock.forward(minutes=6)
    assert (await browser.get("/me")).status == 200


# -- no verdict on half a truth


async def _ripe_for_theft(shop: Shop) -> tuple[Browser, Browser]:
    victim = await shop.login()
    thief = victim.copy()
    for _ in range(3):
        shop.clock.forward(minutes=6)
        await victim.get("/me")
    return victim, thief


@pytest.mark.parametrize("path", ["/me", "/auth/session/refresh"])
async def test_16_5_theft_that_cannot_be_confirmed_is_no_theft_yet(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    victim, thief = await _ripe_for_theft(shop)
    find = SessionRepository.find

    async def only_stale(self: SessionRepository, handle: str, *, fresh: bool = False) -> Any:
        if fresh:
            raise StoreUnavailable
        return await find(self, handle)

    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "find", only_stale)
        assert_unavailable(await thief.post(path))
    assert (await victim.get("/me")).status == 200


async def test_16_5_theft_that_cannot_be_revoked_is_no_theft_yet(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, thief = await _ripe_for_theft(shop)

    async def revoke(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "revoke", revoke)
        assert_unavailable(await thief.get("/me"))
        with pytest.raises(StoreUnavailable):
            await shop.manager.refresh_session_without_request(thief.cookies[REFRESH])
    assert (await victim.get("/me")).status == 200
    with pytest.raises(TokenTheftDetected):
        await shop.manager.refresh_session_without_request(thief.cookies[REFRESH])


@pytest.mark.parametrize("path", ["/me", "/auth/session/refresh"])
async def test_16_5_a_session_that_only_a_lagging_node_misses_is_not_gone(
    opening: OpenShop, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with opening(revocation_check="database") as shop:
        await _only_a_lagging_node_misses(shop, monkeypatch, path)


async def _only_a_lagging_node_misses(shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    browser = await shop.login()
    find = SessionRepository.find

    async def lagging(self: SessionRepository, handle: str, *, fresh: bool = False) -> Any:
        return await find(self, handle, fresh=True) if fresh else None

    async def down(self: SessionRepository, handle: str, *, fresh: bool = False) -> Any:
        if fresh:
            raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "find", down)
        assert_unavailable(await browser.post(path))
        patch.setattr(SessionRepository, "find", lagging)
        assert (await browser.post(path)).status == 200


async def test_16_5_a_failed_promotion_issues_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await shop.login()
    shop.clock.forward(minutes=6)
    await browser.get("/me")
    shop.clock.forward(minutes=6)

    async def promote(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "promote", promote)
        assert_unavailable(await browser.get("/me"))
    assert (await browser.get("/me")).status == 200


async def test_16_5_a_login_that_cannot_be_stored_sets_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def insert(*_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(SessionRepository, "insert", insert)
    assert_unavailable(await shop.browser().post("/login/alice"))


def test_16_5_the_clock_of_these_tests_begins_now() -> None:
    assert Clock().now > 1_700_000_000_000
