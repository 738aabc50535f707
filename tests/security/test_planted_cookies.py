"""Cookies that somebody else has put into the jar (ASVS 5.0, 7.2.4; rotation.md, property 5).

A sibling host can set cookies for the whole domain where ``__Host-`` does not keep them out, before ours or after
them in the Cookie header, as it likes.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from asgi_sessions.asgi.credentials import MAX_COPIES
from tests.security.browser import Answer, Browser
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Shop

GARBAGE = ["x", "", "a.b.c", '"quoted"', "AAAA" * 60, "0" * 238, "é", "%00", "eyJhbGciOiJub25lIn0.e30."]
Pairs = list[tuple[str, str]]


@pytest.fixture
async def plain_shop(opening: OpenShop) -> AsyncIterator[Shop]:
    """A shop whose cookies have no prefix, so that subdomains can plant some."""
    async with opening(cookie_prefix="none") as shop:
        yield shop


def pairs(browser: Browser) -> Pairs:
    return list(browser.cookies.items())


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "session.theft"]


# -- fixation: whatever was there before, a login makes a session of its own


async def test_7_2_4_a_planted_valid_session_never_becomes_the_users(any_shop: Shop) -> None:
    attacker, victim = await any_shop.login("mallory"), any_shop.browser()
    planted = attacker.copy()
    victim.cookies = dict(attacker.cookies)
    answer = await victim.post("/login/alice")
    assert set(answer.set_values) == {ACCESS, REFRESH}
    assert not set(attacker.cookies.values()) & set(victim.cookies.values())
    assert (await victim.get("/me")).json()["user"] == "alice"
    assert (await planted.get("/me")).status == 401
    assert (await planted.post("/auth/session/refresh")).status == 401


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_7_2_4_planted_garbage_never_becomes_a_session(shop: Shop, garbage: str) -> None:
    victim = shop.browser()
    answer = await victim.post("/login/alice", cookies=[(ACCESS, garbage), (REFRESH, garbage)])
    assert garbage not in answer.set_values.values()
    assert (await victim.get("/me")).json()["user"] == "alice"


async def test_7_2_4_a_handle_that_the_attacker_chose_is_not_taken(shop: Shop) -> None:
    chosen = "0123456789abcdef" * 2
    victim = shop.browser()
    answer = await victim.post(
        "/login/alice",
        [("x-session-handle", chosen), ("anti-csrf", chosen)],
        cookies=[("sIdRefreshToken", chosen), ("session_handle", chosen), (ACCESS, chosen), (REFRESH, chosen)],
    )
    assert answer.json()["handle"] != chosen


@pytest.mark.parametrize("order", [1, -1], ids=["planted first", "planted last"])
async def test_7_2_4_a_login_into_a_jar_with_planted_cookies_ends_the_planted_session(
    plain_shop: Shop, order: int
) -> None:
    mallory, alice = await plain_shop.login("mallory"), await plain_shop.login("alice")
    both = [*pairs(mallory), *pairs(alice)][::order]
    fresh = plain_shop.browser()
    await fresh.post("/login/alice", cookies=both)
    assert (await mallory.copy().get("/me")).status == 401
    assert (await alice.copy().get("/me")).status == 401
    assert (await fresh.get("/me")).json()["user"] == "alice"


async def test_7_2_4_prefixes_keep_look_alikes_out(shop: Shop) -> None:
    mallory, victim = await shop.login("mallory"), await shop.login("alice")
    look_alikes = [
        (name.replace("__Host-", prefix), value)
        for name, value in mallory.cookies.items()
        for prefix in ("", "__Secure-", "__host-", "x__Host-", "__Host-x", " __Host_", "__Host- ")
    ]
    answer = await victim.get("/me", cookies=[*look_alikes, *pairs(victim), *look_alikes])
    assert answer.json()["user"] == "alice"
    assert (await victim.get("/me", cookies=look_alikes)).status == 401


# -- several cookies of one name


@pytest.mark.parametrize("order", [1, -1], ids=["planted first", "planted last"])
@pytest.mark.parametrize("minutes", [0, 6], ids=["fresh", "expired"])
async def test_7_2_4_two_sessions_in_one_jar_are_refused_and_nothing_is_cleared(
    plain_shop: Shop, caplog: pytest.LogCaptureFixture, order: int, minutes: int
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    plain_shop.clock.forward(minutes=minutes)
    both = [*pairs(mallory), *pairs(victim)][::order]
    for method, path in (("GET", "/me"), ("POST", "/me"), ("POST", "/auth/session/refresh"), ("GET", "/auth/sessions")):
        answer = await victim.send(method, path, cookies=both)
        assert (answer.status, answer.code, answer.set_cookies) == (401, "unauthorised", [])
    assert (await victim.connect("/socket", cookies=both)).status == 401
    assert alarms(caplog) == []
    # Once the planted ones are gone, nothing has happened.
    assert (await victim.get("/me")).json()["user"] == "alice"


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("minutes", [0, 6], ids=["fresh", "expired"])
async def test_7_2_4_garbage_of_the_same_names_does_no_harm(plain_shop: Shop, garbage: str, minutes: int) -> None:
    victim = await plain_shop.login("alice")
    plain_shop.clock.forward(minutes=minutes)
    planted = [(name, garbage) for name in victim.cookies]
    for jar in ([*planted, *pairs(victim)], [*pairs(victim), *planted]):
        assert (await victim.get("/me", cookies=jar)).json()["user"] == "alice"


# -- a pair, where cookie_domain shares the cookies: what holds and what does not (docs/security.md)

SHARED = {"cookie_domain": "shop.example"}


async def test_7_2_4_with_a_shared_domain_a_planted_pair_is_its_owners_session_and_nobody_elses(
    opening: OpenShop,
) -> None:
    async with opening(**SHARED) as shop:
        mallory, visitor = await shop.login("mallory"), shop.browser()
        answer = await visitor.get("/me", cookies=pairs(mallory))
        assert answer.json()["user"] == "mallory"  # told in the documents and at start


@pytest.mark.parametrize("order", [1, -1], ids=["planted first", "planted last"])
@pytest.mark.parametrize("minutes", [0, 6, 24 * 60], ids=["fresh", "expired", "a day later"])
async def test_7_2_4_with_a_shared_domain_a_planted_pair_neither_replaces_nor_hides_a_live_session(
    opening: OpenShop, order: int, minutes: int
) -> None:
    async with opening(**SHARED) as shop:
        mallory, victim = await shop.login("mallory"), await shop.login("alice")
        shop.clock.forward(minutes=minutes)
        both = [*pairs(mallory), *pairs(victim)][::order]
        for method, path in (("GET", "/me"), ("POST", "/me"), ("GET", "/perhaps"), ("POST", "/auth/session/refresh")):
            answer = await victim.copy().send(method, path, cookies=both)
            assert "mallory" not in answer.body.decode()
            assert answer.set_cookies == []
        assert (await victim.copy().get("/me")).json()["user"] == "alice"
        assert (await victim.copy().post("/auth/signout", cookies=both)).status == 200
        for browser in (victim, mallory):
            assert (await browser.copy().post("/auth/session/refresh")).status == 401


async def test_7_2_4_with_a_shared_domain_the_users_own_login_ends_the_planted_session(opening: OpenShop) -> None:
    async with opening(**SHARED) as shop:
        mallory, visitor = await shop.login("mallory"), shop.browser()
        answer = await visitor.post("/login/alice", cookies=pairs(mallory))
        assert not set(answer.set_values.values()) & set(mallory.cookies.values())
        assert (await visitor.get("/me")).json()["user"] == "alice"
        assert (await mallory.copy().get("/me")).status == 401
        assert (await mallory.post("/auth/session/refresh")).status == 401


# -- planted refresh cookies: property 5


@pytest.mark.parametrize("order", [1, -1], ids=["planted first", "planted last"])
@pytest.mark.parametrize("minutes", [0, 6, 24 * 60], ids=["fresh", "expired", "a day later"])
async def test_property_5_of_several_refresh_cookies_the_access_cookies_own_counts(
    plain_shop: Shop, caplog: pytest.LogCaptureFixture, order: int, minutes: int
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    plain_shop.clock.forward(minutes=minutes)
    jar = [*pairs(victim), ("sRefreshToken", mallory.find("sRefreshToken"))][::order]
    for path in ("/me", "/auth/session/refresh"):
        answer = await victim.copy().post(path, cookies=jar)
        assert answer.status == 200
        assert answer.json().get("user", answer.json().get("user_id")) == "alice"
    assert alarms(caplog) == []
    assert (await mallory.get("/me")).json()["user"] == "mallory"


@pytest.mark.parametrize("refresh", ["inline", "endpoint"])
async def test_property_5_a_lone_planted_refresh_cookie_beside_the_access_cookie_is_401_and_nothing_else(
    opening: OpenShop, caplog: pytest.LogCaptureFixture, refresh: str
) -> None:
    async with opening(cookie_prefix="none", refresh=refresh) as shop:
        mallory, victim = await shop.login("mallory"), await shop.login("alice")
        shop.clock.forward(minutes=6)
        jar = [("sAccessToken", victim.find("sAccessToken")), ("sRefreshToken", mallory.find("sRefreshToken"))]
        answers = [await victim.copy().post("/auth/session/refresh", cookies=jar)]
        if refresh == "inline":
            answers.append(await victim.copy().get("/me", cookies=jar))
        for answer in answers:
            assert (answer.status, answer.code, answer.set_cookies) == (401, "unauthorised", [])
        assert alarms(caplog) == []
        assert (await victim.post("/auth/session/refresh")).status == 200
        assert (await mallory.post("/auth/session/refresh")).status == 200


async def test_property_5_several_refresh_cookies_without_an_access_cookie_are_401_and_nothing_else(
    plain_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    jar = [("sRefreshToken", browser.find("sRefreshToken")) for browser in (mallory, victim)]
    for path in ("/me", "/auth/session/refresh"):
        answer = await victim.copy().post(path, cookies=jar)
        assert (answer.status, answer.code, answer.set_cookies) == (401, "unauthorised", [])
    assert alarms(caplog) == []


@pytest.mark.parametrize("minutes", [0, 6], ids=["fresh", "expired"])
async def test_property_5_a_planted_cookie_of_an_ended_session_ends_nothing_else(
    plain_shop: Shop, minutes: int
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    await mallory.copy().post("/logout")
    plain_shop.clock.forward(minutes=minutes)
    refresh, access = ("sRefreshToken", mallory.find("sRefreshToken")), ("sAccessToken", mallory.find("sAccessToken"))
    for planted in ([refresh], [access], [access, refresh]):
        for jar in ([*planted, *pairs(victim)], [*pairs(victim), *planted]):
            answer = await victim.copy().get("/me", cookies=jar)
            assert answer.cleared == set()
    assert (await victim.get("/me")).status == 200


@pytest.mark.parametrize("kinds", [["sAccessToken"], ["sRefreshToken"], ["sAccessToken", "sRefreshToken"]])
@pytest.mark.parametrize("valid", [False, True], ids=["garbage", "the attacker's own"])
@pytest.mark.parametrize("minutes", [0, 6], ids=["fresh", "expired"])
async def test_property_5_no_number_of_planted_cookies_logs_anybody_out(
    plain_shop: Shop, caplog: pytest.LogCaptureFixture, kinds: Sequence[str], valid: bool, minutes: int
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    plain_shop.clock.forward(minutes=minutes)
    planted = [(name, mallory.find(name) if valid else "x" * 238) for name in kinds] * (2 * MAX_COPIES)
    for path in ("/me", "/auth/session/refresh"):
        answer = await victim.copy().post(path, cookies=[*planted, *pairs(victim)])
        assert answer.status in {200, 401}
        assert answer.cleared == set()
        if answer.status == 200:
            assert answer.json().get("user", answer.json().get("user_id")) == "alice"
    assert alarms(caplog) == []
    assert (await victim.get("/me")).json()["user"] == "alice"


@pytest.mark.parametrize("valid", [False, True], ids=["garbage", "the attacker's own"])
async def test_7_4_1_no_number_of_planted_cookies_hides_the_session_from_its_logout(
    plain_shop: Shop, valid: bool
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    planted = [(name, mallory.find(name) if valid else "x" * 238) for name in victim.cookies] * (2 * MAX_COPIES)
    answer = await victim.copy().post("/auth/signout", cookies=[*planted, *pairs(victim)])
    assert (answer.status, answer.cleared) == (200, set(victim.cookies))
    assert (await victim.get("/me")).status == 401


async def test_property_5_a_planted_retry_marker_raises_no_alarm(
    plain_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    mallory, victim = await plain_shop.login("mallory"), await plain_shop.login("alice")
    marker = await _late_parent(plain_shop, mallory)
    assert marker
    late = victim.copy()
    await _rotate_twice(plain_shop, victim)
    for planted in (marker, "x", ""):
        answer = await late.copy().get("/me", cookies=[("sRetryMarker", planted), *pairs(late)])
        assert answer.status == 200
    assert alarms(caplog) == []


async def test_property_5_a_login_elsewhere_ends_nothing_here(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    here = await shop.login("alice")
    for _ in range(3):
        await shop.login("alice")
        shop.clock.forward(minutes=6)
        assert (await here.get("/me")).status == 200
    assert alarms(caplog) == []


HOSTILE_NAVIGATION = [
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
]
HOSTILE_IMAGE = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]


@pytest.mark.parametrize("headers", [HOSTILE_NAVIGATION, HOSTILE_IMAGE], ids=["navigation", "image"])
async def test_property_5_a_hostile_page_that_opens_many_addresses_causes_no_alarm(
    shop: Shop, caplog: pytest.LogCaptureFixture, headers: list[tuple[str, str]]
) -> None:
    victim = await shop.login("alice")
    for _ in range(12):
        shop.clock.forward(minutes=4)
        # All sent with the jar as it was; their answers come in the order that hurts most.
        sent = [victim.copy() for _ in range(4)]
        answers: list[Answer] = [await browser.get("/me", headers) for browser in sent]
        for answer in reversed(answers):
            assert answer.code in {None, "try_refresh_token"}
            victim.cookies |= answer.set_values
        assert (await victim.get("/me")).status == 200
    assert alarms(caplog) == []


async def test_property_5_the_answer_of_a_slow_address_overwrites_nothing(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = await shop.login("alice")
    shop.clock.forward(minutes=6)
    slow = victim.copy()
    list_sessions = shop.manager.list_sessions_for_user

    async def slowly(user_id: str, **options: Any) -> object:
        shop.clock.forward(seconds=31)
        return await list_sessions(user_id, **options)

    monkeypatch.setattr(shop.manager, "list_sessions_for_user", slowly)
    answer = await slow.get("/auth/sessions", HOSTILE_NAVIGATION)
    assert (answer.status, answer.set_cookies) == (200, [])
    for _ in range(4):
        shop.clock.forward(minutes=6)
        assert (await victim.get("/me")).status == 200
    assert alarms(caplog) == []


@pytest.fixture(autouse=True)
def _all_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")


async def _rotate_twice(shop: Shop, browser: Browser) -> None:
    for _ in range(2):
        shop.clock.forward(minutes=6)
        assert (await browser.get("/me")).status == 200


async def _late_parent(shop: Shop, browser: Browser) -> str:
    """Make a session's parent token come late, and return the retry marker of it."""
    late = browser.copy()
    await _rotate_twice(shop, browser)
    await late.get("/me")
    return late.find("sRetryMarker")
