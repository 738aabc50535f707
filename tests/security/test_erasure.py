"""A user who is erased, seen from the browser and from the database, on every engine."""

import json
from typing import Any

import pytest

from tests.revocation.polling import poll
from tests.security.browser import Browser
from tests.security.shop import ACCESS, REFRESH, Shop, open_shop

USER, SHOWN = "the-user-4711", "203.0.113.77"
AGENT = ("user-agent", "Mozilla/5.0 (X11; CrOS x86_64) Gecko/20100101 Vivaldi/127.0")
SAID = "a-payload-that-names-the-user"


async def logged_in(shop: Shop) -> Browser:
    browser = shop.browser(address=SHOWN)
    body = json.dumps({"role": SAID}).encode()
    assert (await browser.post(f"/login/{USER}", [AGENT], body=body)).status == 200
    return browser


async def traces_in(shop: Shop) -> list[str]:
    written = repr(await shop.dump())
    return [trace for trace in (USER, SHOWN, "Vivaldi", SAID) if trace in written or trace.encode().hex() in written]


async def test_privacy_an_erased_user_is_out_everywhere_and_in_no_table(any_shop: Shop, any_url: str) -> None:
    phone, laptop, idle = await logged_in(any_shop), await logged_in(any_shop), await logged_in(any_shop)
    bob = await any_shop.login("bob")
    await phone.post("/logout")
    assert len(await traces_in(any_shop)) == 4
    async with open_shop(any_url, clock=any_shop.clock) as elsewhere:
        assert (await laptop.get("/me")).status == 200
        assert await any_shop.manager.erase_user(USER) == 3
        assert await traces_in(any_shop) == []
        await poll(elsewhere.manager)
        for browser in (laptop, idle):
            browser.app = elsewhere.app
        answer = await laptop.copy().get("/me")
        assert (answer.status, answer.cleared) == (401, {ACCESS, REFRESH})
        any_shop.clock.forward(minutes=6)
        for browser in (laptop, idle):
            answer = await browser.get("/me")
            assert (answer.status, answer.cleared) == (401, {ACCESS, REFRESH})
    assert (await bob.get("/me")).status == 200
    assert await traces_in(any_shop) == []
    any_shop.clock.forward(days=1)
    await any_shop.manager.purge_expired_sessions()
    assert len(await any_shop.rows("SELECT handle FROM asgi_sessions_sessions")) == 1


@pytest.mark.parametrize("settings", [{"promote_on": "first_use"}, {"revocation_check": "none"}])
async def test_privacy_a_refresh_token_of_an_erased_session_is_no_theft(
    sqlite_url: str, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_shop(sqlite_url, **settings) as shop:
        browser = await logged_in(shop)
        shop.clock.forward(minutes=6)
        older = browser.copy()
        await browser.get("/me")
        await shop.manager.erase_user(USER)
        shop.clock.forward(minutes=6)
        for each in (older, browser):
            assert (await each.get("/me")).status == 401
        assert await traces_in(shop) == []
    assert "theft" not in caplog.text
