"""RFC 9700, 4.14.2: a copied refresh token ends the session, and nothing that is no copy does."""

import logging

import pytest

from asgi_sessions import TokenTheftDetected, Unauthorised
from tests.security.browser import Browser
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, MARKER, REFRESH, Shop
from tests.security.statements import counted

DAY = 86_400_000


@pytest.fixture(autouse=True)
def _all_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")


async def _use(shop: Shop, browser: Browser, times: int) -> None:
    for _ in range(times):
        shop.clock.forward(minutes=6)
        assert (await browser.get("/me")).status == 200


async def test_rfc_9700_a_thief_who_comes_late_ends_the_session_for_both(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    victim = await any_shop.login()
    handle = (await victim.get("/me")).json()["handle"]
    thief = victim.copy()
    await _use(any_shop, victim, 3)
    answer = await thief.get("/me")
    assert (answer.status, answer.code, answer.cleared) == (401, "token_theft_detected", {ACCESS, REFRESH})
    assert (await victim.copy().get("/me")).code == "unauthorised"
    assert (await victim.post("/auth/session/refresh")).cleared == {ACCESS, REFRESH}
    (event,) = [record for record in caplog.records if getattr(record, "event", "") == "session.theft"]
    assert (event.session_handle, event.user_id) == (handle, "alice")  # type: ignore[attr-defined]
    assert event.levelno == logging.WARNING
    assert await any_shop.rows("SELECT revoked_reason FROM asgi_sessions_sessions") == [("theft",)]


async def test_rfc_9700_a_thief_who_comes_first_loses_the_session_when_the_victim_returns(any_shop: Shop) -> None:
    victim = await any_shop.login()
    thief = victim.copy()
    await _use(any_shop, thief, 3)
    assert (await victim.get("/me")).code == "token_theft_detected"
    for path in ("/me", "/checked", "/auth/sessions"):
        assert (await thief.copy().get(path)).status == 401
    assert (await thief.post("/auth/session/refresh")).status == 401


async def test_rfc_9700_two_chains_side_by_side_do_not_last(any_shop: Shop) -> None:
    victim = await any_shop.login()
    thief = victim.copy()
    codes = []
    for _ in range(6):
        any_shop.clock.forward(minutes=6)
        codes += [(await browser.get("/me")).code for browser in (victim, thief)]
    assert "token_theft_detected" in codes
    assert (await victim.get("/me")).status == (await thief.get("/me")).status == 401


async def test_rfc_9700_reuse_within_the_window_is_told_once_and_then_theft(any_shop: Shop) -> None:
    victim = await any_shop.login()
    thief = victim.copy()
    await _use(any_shop, victim, 2)
    answer = await thief.post("/auth/session/refresh")
    assert (answer.status, answer.code, set(answer.set_values)) == (409, "already_rotated", {MARKER})
    assert answer.cleared == set()
    assert (await thief.post("/auth/session/refresh")).code == "token_theft_detected"
    assert (await victim.get("/me")).status == 401


async def test_rfc_9700_a_late_parent_gets_no_token_of_any_kind(shop: Shop) -> None:
    victim = await shop.login()
    thief = victim.copy()
    await _use(shop, victim, 2)
    answer = await thief.post("/payload", body=b'{"role": "admin"}')
    assert set(answer.set_values) == {MARKER}


async def test_rfc_9700_without_a_window_every_reuse_is_theft_at_once(opening: OpenShop) -> None:
    async with opening(late_parent_window=0, min_refresh_age=0) as shop:
        victim = await shop.login()
        thief = victim.copy()
        await _use(shop, victim, 2)
        assert (await thief.get("/me")).code == "token_theft_detected"


async def test_rfc_9700_with_first_use_a_thief_is_found_by_the_use_of_an_access_token(opening: OpenShop) -> None:
    async with opening(promote_on="first_use", refresh="endpoint") as shop:
        victim = await shop.login()
        thief = victim.copy()
        codes = []
        for _ in range(4):
            shop.clock.forward(minutes=6)
            for browser in (victim, thief):
                codes.append((await browser.post("/auth/session/refresh")).code)
                codes.append((await browser.get("/me")).code)
        assert "token_theft_detected" in codes
        assert (await victim.get("/me")).status == (await thief.get("/me")).status == 401


async def test_rfc_9700_theft_of_one_session_leaves_the_others_alone(shop: Shop) -> None:
    victim, phone, bob = await shop.login("alice"), await shop.login("alice"), await shop.login("bob")
    thief = victim.copy()
    await _use(shop, victim, 3)
    assert (await thief.get("/me")).code == "token_theft_detected"
    assert (await phone.get("/me")).status == (await bob.get("/me")).status == 200
    assert (await victim.post("/login/alice")).status == 200


async def test_rfc_9700_the_error_names_session_and_user_where_there_is_no_request(any_shop: Shop) -> None:
    manager = any_shop.manager
    first = await manager.create_new_session_without_request(42)
    token = first.refresh_token.value
    for _ in range(3):
        any_shop.clock.forward(minutes=6)
        token = (await manager.refresh_session_without_request(token)).refresh_token.value
    with pytest.raises(TokenTheftDetected) as caught:
        await manager.refresh_session_without_request(first.refresh_token.value)
    assert (caught.value.session_handle, caught.value.user_id) == (first.session.session_handle, 42)
    with pytest.raises(Unauthorised):
        await manager.refresh_session_without_request(token)


async def test_rfc_9700_a_token_newer_than_the_database_is_no_theft(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await any_shop.login()
    await _use(any_shop, browser, 4)
    handle = (await browser.get("/me")).json()["handle"]
    columns = "gen = 0, prev = NULL, promoted_at = NULL"  # as in an old backup
    await any_shop.change(f"UPDATE asgi_sessions_sessions SET {columns} WHERE handle = :handle", handle=handle)
    any_shop.clock.forward(minutes=6)
    answer = await browser.get("/me")
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert any(record.levelno == logging.CRITICAL for record in caplog.records)
    assert await any_shop.rows("SELECT revoked_at FROM asgi_sessions_sessions") == [(None,)]


# -- a session that a login has replaced


@pytest.mark.parametrize("path", ["/me", "/auth/session/refresh"])
async def test_rfc_9700_a_replaced_sessions_late_request_does_not_empty_the_jar(any_shop: Shop, path: str) -> None:
    browser = await any_shop.login("alice")
    late = browser.copy()
    await browser.post("/login/alice")
    any_shop.clock.forward(seconds=100)
    answer = await late.post(path)
    assert (answer.status, answer.code, answer.set_cookies) == (401, "unauthorised", [])
    any_shop.clock.forward(seconds=30)
    assert (await late.post(path)).cleared == {ACCESS, REFRESH}


@pytest.mark.parametrize("how", ["/logout", "/auth/signout"])
async def test_rfc_9700_only_a_replaced_session_keeps_its_cookies(shop: Shop, how: str) -> None:
    browser = await shop.login()
    late = browser.copy()
    await browser.post(how)
    assert (await late.get("/me")).cleared == {ACCESS, REFRESH}


# -- a thief who takes no tokens

SERVED_LATE = "session.served_late"


def _served_late(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Generation and kind of the tokens that were served without others."""
    records = [vars(record) for record in caplog.records if getattr(record, "event", "") == SERVED_LATE]
    return [(record["generation"], record["token"]) for record in records]


async def test_rfc_9700_a_thief_who_asks_late_for_ten_days_is_served_for_one_access_tokens_lifetime(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    victim = await any_shop.login()
    thief = victim.copy()
    del thief.cookies[ACCESS]
    codes = []
    for _ in range(480):
        answer = await thief.post("/upload")
        codes.append(answer.code or "served")
        assert answer.set_cookies == []
        any_shop.clock.forward(minutes=29, seconds=29)
    assert codes == ["served"] + ["try_refresh_token"] * 479
    assert _served_late(caplog) == [(0, "head")]
    assert (await victim.get("/me")).status == 200
    assert await any_shop.rows("SELECT revoked_at FROM asgi_sessions_sessions") == [(None,)]


async def test_rfc_9700_a_thief_who_asks_late_all_the_time_is_served_for_no_longer(shop: Shop) -> None:
    thief = await shop.login()
    del thief.cookies[ACCESS]
    statuses = [(await thief.post("/upload")).status for _ in range(40)]
    # The first is served 31 s after it came. From then on those are that come within five minutes.
    assert statuses == [200] * 11 + [401] * 29


async def test_rfc_9700_a_child_that_asks_late_is_promoted_and_the_victims_next_move_is_the_alarm(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    victim = await any_shop.login()
    thief = victim.copy()
    await _use(any_shop, victim, 1)
    await _use(any_shop, thief, 1)  # a child of his own
    del thief.cookies[ACCESS]
    assert (await thief.post("/upload")).status == 200
    assert _served_late(caplog) == [(1, "child")]
    any_shop.clock.forward(minutes=6)
    assert (await victim.get("/me")).code == "token_theft_detected"
    assert (await thief.post("/upload")).code == "unauthorised"


async def test_rfc_9700_a_thief_who_only_shows_parents_is_served_at_four_generations_of_twenty(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    victim = await any_shop.login()
    thief, parent, codes = victim.copy(), dict(victim.cookies), []
    await _use(any_shop, victim, 1)
    for _ in range(20):
        child = dict(victim.cookies)
        await _use(any_shop, victim, 1)  # which promotes the child
        for _ in range(14):
            any_shop.clock.forward(seconds=8)
            thief.cookies = {REFRESH: parent[REFRESH]}  # and no marker
            answer = await thief.get("/me")
            codes.append(answer.code or "served")
            assert set(answer.set_values) == {MARKER}
        parent = child
    assert codes == ["served"] * 56 + ["already_rotated"] * 224
    assert _served_late(caplog) == [(generation, "late_parent") for generation in range(4)]
    assert (await victim.get("/me")).status == 200
    await _use(any_shop, victim, 1)
    any_shop.clock.forward(minutes=3)
    thief.cookies = {REFRESH: parent[REFRESH]}
    assert (await thief.get("/me")).code == "token_theft_detected"


# -- and a browser whose requests are slow


async def test_rfc_9700_slow_uploads_side_by_side_are_all_served_and_noted_once(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await shop.login()
    await _use(shop, browser, 1)
    shop.clock.forward(minutes=6)
    with counted() as first:
        assert (await browser.post("/upload")).status == 200
    with counted() as second:
        assert (await browser.post("/upload")).status == 200
    verbs = [[statement.split()[0] for statement in statements] for statements in (first, second)]
    assert verbs == [["SELECT", "UPDATE"], ["SELECT"]]
    assert _served_late(caplog) == [(1, "child")]


async def test_rfc_9700_whoever_was_refused_is_refreshed_by_the_next_ordinary_request(shop: Shop) -> None:
    browser = await shop.login()
    shop.clock.forward(minutes=6)
    assert (await browser.post("/upload")).status == 200
    shop.clock.forward(minutes=6)
    refused = await browser.post("/upload")
    assert (refused.status, refused.code, refused.set_cookies) == (401, "try_refresh_token", [])
    assert set((await browser.get("/me")).set_values) == {ACCESS, REFRESH}
    assert (await browser.post("/upload")).status == 200


async def test_rfc_9700_late_service_is_a_use_of_the_session(shop: Shop) -> None:
    browser = await shop.login()
    shop.clock.forward(days=13)
    assert (await browser.post("/upload")).status == 200
    shop.clock.forward(days=5)
    rows = await shop.rows("SELECT last_active_at, idle_expires_at - last_active_at FROM asgi_sessions_sessions")
    assert rows == [(shop.clock.now - 5 * DAY, 14 * DAY)]


async def test_rfc_9700_an_old_token_that_asks_late_is_refused_without_an_alarm(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await shop.login()
    upload = browser.copy()
    await _use(shop, browser, 4)
    answer = await upload.post("/upload")
    assert (answer.status, answer.code, answer.set_cookies) == (401, "unauthorised", [])
    assert (await browser.get("/me")).status == 200
    assert _served_late(caplog) == []
