"""What stays of the addresses from which users log in."""

import logging

import pytest

from asgi_sessions import SessionEvent
from tests.security.browser import Browser
from tests.security.conftest import OpenShop
from tests.security.shop import Shop

ADDRESSES = {
    "203.0.113.77": "203.0.113.0",
    "::ffff:203.0.113.77": "203.0.113.0",
    "2001:db8:85a3:8d3:1319:8a2e:370:7348": "2001:db8:85a3::",
    "fe80::5efe:cb00:714d%en0": "fe80::",
    "cb00714d.example": None,
}
PARTS = ("0.113.77", "cb00714d", "cb00:714d", "370:7348")


async def shown(browser: Browser) -> str | None:
    (line,) = (await browser.get("/auth/sessions")).json()
    address: str | None = line["ip_address"]
    return address


async def used(shop: Shop, address: str) -> Browser:
    """All that a session goes through, from one address."""
    browser = shop.browser(address=address)
    user = f"user-{list(ADDRESSES).index(address)}"
    assert (await browser.post(f"/login/{user}")).status == 200
    shop.clock.forward(minutes=6)
    assert (await browser.get("/me")).status == 200
    await browser.post("/me", [("sec-fetch-site", "cross-site")])
    thief = browser.copy()
    for each in (browser, thief, browser):
        shop.clock.forward(minutes=6)
        await each.get("/me")
    assert (await browser.post(f"/login/{user}")).status == 200
    return browser


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("keeps", ["truncated", "none"])
async def test_privacy_what_is_not_kept_is_nowhere(
    opening: OpenShop, caplog: pytest.LogCaptureFixture, keeps: str, address: str
) -> None:
    told: list[SessionEvent] = []

    async def note(event: SessionEvent) -> None:
        told.append(event)

    caplog.set_level(logging.DEBUG)
    async with opening(ip_address=keeps) as shop:
        for hook in ("created", "refreshed", "revoked", "theft"):
            getattr(shop.manager, f"on_session_{hook}")(note)
        browser = await used(shop, address)
        assert await shown(browser) == (ADDRESSES[address] if keeps == "truncated" else None)
        written = repr(await shop.dump())
    assert {event.name for event in told} >= {"session.created", "session.refreshed"}
    records = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for text in (written, records, repr(told)):
        assert not any(part in text for part in PARTS)


async def test_privacy_by_default_a_list_shows_whole_addresses_on_every_engine(any_shop: Shop) -> None:
    assert await shown(await used(any_shop, "203.0.113.77")) == "203.0.113.77"


async def test_privacy_whoever_logged_in_before_keeps_the_address_that_is_shown(opening: OpenShop) -> None:
    async with opening() as shop:
        browser = await shop.login(address="203.0.113.77")
    async with opening(ip_address="truncated") as shop:
        browser.app = shop.app
        shop.clock.forward(minutes=6)
        assert await shown(browser) == "203.0.113.77"
