"""ASVS 5.0, V7: from login to logout, on every engine."""

import base64
import json
from typing import Any

import pytest

from tests.revocation.polling import poll
from tests.security.browser import Browser
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Shop, open_shop


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


async def handle_of(browser: Browser) -> str:
    handle: str = (await browser.get("/me")).json()["handle"]
    return handle


# -- 7.2: what a login makes


async def test_7_2_2_every_login_has_a_handle_and_tokens_of_its_own(shop: Shop) -> None:
    browsers = [await shop.login() for _ in range(40)]
    assert len({value for browser in browsers for value in browser.cookies.values()}) == 80
    assert len({await handle_of(browser) for browser in browsers}) == 40


async def test_7_2_3_a_refresh_token_is_256_random_bits(shop: Shop) -> None:
    tokens = [await shop.manager.create_new_session_without_request("alice") for _ in range(200)]
    codec = shop.manager.lifecycle.keys.refresh_tokens
    secrets = [decoded.secret for token in tokens if (decoded := codec.decode(token.refresh_token.value)) is not None]
    assert {len(secret) for secret in secrets} == {32}
    assert len(set(secrets)) == 200
    # Of 200 independent secrets each bit is set about half the time; 30 % away is 8 standard deviations.
    for bit in range(256):
        ones = sum(secret[bit // 8] >> (bit % 8) & 1 for secret in secrets)
        assert 40 < ones < 160


async def test_7_2_3_a_refresh_makes_everything_new(any_shop: Shop) -> None:
    browser = await any_shop.login()
    before = dict(browser.cookies)
    any_shop.clock.forward(minutes=6)
    assert (await browser.post("/auth/session/refresh")).status == 200
    assert not set(before.values()) & set(browser.cookies.values())


@pytest.mark.parametrize("minutes", [0, 6, 24 * 60], ids=["fresh", "access token expired", "a day later"])
async def test_7_2_4_a_login_ends_the_session_that_the_jar_held(any_shop: Shop, minutes: int) -> None:
    browser = await any_shop.login("alice")
    copy = browser.copy()
    any_shop.clock.forward(minutes=minutes)
    await browser.post("/login/bob")
    assert (await browser.get("/me")).json()["user"] == "bob"
    assert (await copy.get("/me")).status == 401
    assert await any_shop.manager.get_all_session_handles_for_user("alice") == []


@pytest.mark.parametrize("kept", [ACCESS, REFRESH])
async def test_7_2_4_a_login_ends_the_old_session_when_only_one_of_its_cookies_came(shop: Shop, kept: str) -> None:
    browser = await shop.login("alice")
    await browser.post("/login/alice", cookies=[(kept, browser.cookies[kept])])
    assert len(await shop.manager.get_all_session_handles_for_user("alice")) == 1


async def test_7_2_4_a_login_on_one_device_leaves_the_others_alone(any_shop: Shop) -> None:
    phone, laptop = await any_shop.login(), await any_shop.login()
    assert (await phone.get("/me")).status == (await laptop.get("/me")).status == 200


# -- 7.3: timeouts


async def test_7_3_1_an_idle_session_ends(any_shop: Shop) -> None:
    browser = await any_shop.login()
    any_shop.clock.forward(days=14, milliseconds=-1)
    assert (await browser.get("/me")).status == 200
    any_shop.clock.forward(days=14)
    answer = await browser.get("/me")
    assert answer.status == 401
    assert answer.code == "unauthorised"
    assert answer.cleared == {ACCESS, REFRESH}


async def test_7_3_1_a_session_in_use_does_not_end(any_shop: Shop) -> None:
    browser = await any_shop.login()
    for _ in range(7):
        any_shop.clock.forward(days=13)
        assert (await browser.get("/me")).status == 200


async def test_7_3_2_no_refresh_moves_the_absolute_end(any_shop: Shop) -> None:
    browser = await any_shop.login()
    end = any_shop.clock.now + 100 * 24 * 3_600_000
    while any_shop.clock.now + 7 * 24 * 3_600_000 < end:
        any_shop.clock.forward(days=7)
        assert (await browser.get("/me")).status == 200
        said = claims(browser.cookies[ACCESS])
        assert round(said["sexp"] * 1000) == end
        assert round(said["exp"] * 1000) <= end
    any_shop.clock.now = end - 1
    assert (await browser.get("/me")).status == 200
    any_shop.clock.now = end
    assert (await browser.get("/me")).status == 401


async def test_7_3_2_no_cookie_lives_longer_than_its_session(shop: Shop) -> None:
    browser = await shop.login()
    for days in (13, 13, 13, 13, 13, 13, 13):
        shop.clock.forward(days=days)
        answer = await browser.get("/me")
    ages = [int(cookie.partition("Max-Age=")[2].partition(";")[0]) for cookie in answer.set_cookies]
    assert ages == [9 * 24 * 3600] * 2


# -- 7.4: ending sessions


async def test_7_4_1_a_copied_access_token_dies_at_logout(any_shop: Shop) -> None:
    browser = await any_shop.login()
    copy = browser.copy()
    assert (await browser.post("/logout")).cleared == {ACCESS, REFRESH}
    for path in ("/me", "/checked", "/auth/session", "/auth/sessions"):
        assert (await copy.copy().get(path)).status == 401
    assert (await copy.copy().post("/auth/session/refresh")).status == 401
    assert (await copy.copy().connect("/socket")).status == 401


@pytest.mark.parametrize("check", ["feed", "database"])
async def test_7_4_1_logout_counts_on_every_worker(any_url: str, check: str) -> None:
    async with (
        open_shop(any_url, revocation_check=check) as one,
        open_shop(any_url, clock=one.clock, revocation_check=check) as two,
        open_shop(any_url, clock=one.clock, revocation_check=check) as three,
    ):
        browser = await one.login()
        copies = [browser.copy() for _ in (one, two, three)]
        for copy, worker in zip(copies, (one, two, three), strict=True):
            copy.app = worker.app
            assert (await copy.get("/me")).status == 200
        await browser.post("/auth/signout")
        assert (await copies[0].get("/me")).status == 401
        if check == "feed":
            await poll(two.manager, three.manager)  # as they do twice a second
        assert [(await copy.get("/me")).status for copy in copies[1:]] == [401, 401]


async def test_7_4_1_the_session_of_an_open_websocket_is_checked_again(any_shop: Shop) -> None:
    issued = await any_shop.manager.create_new_session_without_request("alice")
    await issued.session.check()
    await any_shop.manager.revoke_session_using_session_handle(issued.session.session_handle)
    with pytest.raises(Exception, match="Not logged in"):
        await issued.session.check()


async def test_7_4_1_expiry_ends_access_tokens_too(opening: OpenShop) -> None:
    lifetimes = {"idle_timeout": "20m", "absolute_timeout": "20m", "access_token_lifetime": "20m"}
    async with opening(**lifetimes, refresh="endpoint") as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=7)
        await browser.post("/auth/session/refresh")
        shop.clock.forward(minutes=13)
        assert (await browser.get("/me")).status == 401
        assert (await browser.post("/auth/session/refresh")).status == 401


async def test_7_4_1_a_signed_out_jar_with_an_expired_access_token_ends_its_session(any_shop: Shop) -> None:
    browser = await any_shop.login()
    any_shop.clock.forward(days=2)
    assert (await browser.post("/auth/signout")).cleared == {ACCESS, REFRESH}
    assert await any_shop.manager.get_all_session_handles_for_user("alice") == []


@pytest.mark.parametrize("check", ["/checked", "/me"])
async def test_7_4_1_without_revocation_check_a_checked_path_still_asks(opening: OpenShop, check: str) -> None:
    async with opening(revocation_check="none") as shop:
        browser = await shop.login()
        await shop.manager.revoke_all_sessions_for_user("alice")
        assert (await browser.get(check)).status == (401 if check == "/checked" else 200)


async def test_7_4_2_an_administrator_ends_all_sessions_of_a_user(any_shop: Shop) -> None:
    alice = [await any_shop.login("alice") for _ in range(3)]
    bob = await any_shop.login("bob")
    assert await any_shop.manager.revoke_all_sessions_for_user("alice") == 3
    assert [(await browser.get("/me")).status for browser in alice] == [401, 401, 401]
    assert (await bob.get("/me")).status == 200


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
async def test_7_4_3_a_user_ends_all_other_sessions(opening: OpenShop, fastapi: bool) -> None:
    async with opening(fastapi=fastapi) as shop:
        here, *elsewhere = [await shop.login("alice") for _ in range(3)]
        bob = await shop.login("bob")
        answer = await here.post("/auth/sessions/revoke-others")
        assert answer.json() == {"revoked": 2}
        assert answer.set_cookies == []
        assert [(await browser.get("/me")).status for browser in (here, bob, *elsewhere)] == [200, 200, 401, 401]


async def test_7_4_3_all_but_one_on_every_engine(any_shop: Shop) -> None:
    kept, lost = await any_shop.login(), await any_shop.login()
    handle = await handle_of(kept)
    assert await any_shop.manager.revoke_all_sessions_for_user("alice", except_handle=handle) == 1
    assert (await kept.get("/me")).status == 200
    assert (await lost.get("/me")).status == 401


async def test_7_4_5_an_administrator_ends_one_session_and_several(any_shop: Shop) -> None:
    browsers = [await any_shop.login() for _ in range(4)]
    handles = [await handle_of(browser) for browser in browsers]
    manager = any_shop.manager
    assert await manager.revoke_session_using_session_handle(handles[0]) is True
    assert await manager.revoke_session_using_session_handle(handles[0]) is False
    assert await manager.revoke_multiple_sessions(handles[:3]) == 2
    assert [(await browser.get("/me")).status for browser in browsers] == [401, 401, 401, 200]


async def test_7_4_5_ending_by_user_touches_no_cookie_until_the_next_request(shop: Shop) -> None:
    browser = await shop.login()
    await shop.manager.revoke_all_sessions_for_user("alice")
    answer = await browser.get("/me")
    assert (answer.status, answer.cleared) == (401, {ACCESS, REFRESH})


async def test_7_4_5_user_ids_of_two_types_are_two_users(any_shop: Shop) -> None:
    number = await any_shop.login("42")  # the application makes it an int
    assert await any_shop.manager.revoke_all_sessions_for_user("42") == 0
    assert (await number.get("/me")).json()["user"] == 42
    assert await any_shop.manager.revoke_all_sessions_for_user(42) == 1


@pytest.mark.parametrize("other", ["ALICE", "alice ", "alice\x00", "álice", "alic", "%", "alice' OR '1'='1"])
async def test_7_4_5_a_similar_user_id_is_another_user(any_shop: Shop, other: str) -> None:
    browser = await any_shop.login("alice")
    assert await any_shop.manager.revoke_all_sessions_for_user(other) == 0
    assert await any_shop.manager.get_all_session_handles_for_user(other) == []
    assert (await browser.get("/me")).status == 200


# -- 7.5: re-authentication, and the user's own list


async def test_7_5_1_a_recent_login_is_enough(any_shop: Shop) -> None:
    browser = await any_shop.login()
    any_shop.clock.forward(minutes=10)
    assert (await browser.post("/recent")).status == 200


async def test_7_5_1_an_old_login_is_not_and_nothing_is_cleared(any_shop: Shop) -> None:
    browser = await any_shop.login()
    any_shop.clock.forward(minutes=10, milliseconds=1)
    answer = await browser.post("/recent")
    assert (answer.status, answer.code) == (403, "reauthentication_required")
    assert answer.cleared == set()
    assert (await browser.get("/me")).status == 200


async def test_7_5_1_no_refresh_and_no_new_payload_makes_a_login_younger(any_shop: Shop) -> None:
    browser = await any_shop.login()
    for _ in range(3):
        any_shop.clock.forward(minutes=6)
        await browser.post("/auth/session/refresh")
        await browser.post("/payload", body=b'{"role": "customer", "auth_time": 99999999999}')
    assert (await browser.post("/recent")).code == "reauthentication_required"
    await browser.post("/login/alice")
    assert (await browser.post("/recent")).status == 200


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
async def test_7_5_3_an_old_login_ends_no_other_session(opening: OpenShop, fastapi: bool) -> None:
    async with opening(fastapi=fastapi) as shop:
        victim = await shop.login()
        handle = await handle_of(victim)
        thief = await shop.login()
        shop.clock.forward(days=1, seconds=1)
        await victim.get("/me")
        assert (await thief.post("/auth/sessions/revoke-others")).code == "reauthentication_required"
        assert (await thief.delete(f"/auth/sessions/{handle}")).code == "reauthentication_required"
        assert (await victim.get("/me")).status == 200


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"role": "admin"}, 200),
        ({"role": "customer"}, 403),
        ({}, 403),
        (None, 403),
        (["role", "admin"], 403),
        ("role", 403),
        ({"role": ["admin"]}, 403),
        ({"role": True}, 403),
        ({"Role": "admin"}, 403),
    ],
)
async def test_7_5_3_a_claim_is_there_exactly_or_the_session_does_not_do(shop: Shop, payload: Any, status: int) -> None:
    browser = shop.browser()
    await browser.post("/login/alice", body=json.dumps(payload).encode())
    answer = await browser.get("/admin")
    assert answer.status == status
    assert answer.cleared == set()


async def test_7_5_3_a_payload_of_the_clients_own_making_is_not_believed(shop: Shop) -> None:
    browser = await shop.login()
    head, body, signature = browser.cookies[ACCESS].split(".")
    said = claims(browser.cookies[ACCESS]) | {"payload": {"role": "admin"}}
    forged = base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode().rstrip("=")
    assert forged != body
    answer = await browser.get("/admin", cookies=[(ACCESS, f"{head}.{forged}.{signature}")])
    assert answer.status == 401


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
async def test_7_5_2_users_see_their_own_sessions_and_no_secret(opening: OpenShop, fastapi: bool) -> None:
    async with opening(fastapi=fastapi, csrf="both") as shop:
        alice, phone, bob = await shop.login("alice"), await shop.login("alice"), await shop.login("bob")
        token = {"anti-csrf": str(claims(alice.cookies[ACCESS])["csrf"])}
        answer = await alice.get("/auth/sessions", token.items())
        assert answer.status == 200, answer.body
        listed = {line["session_handle"] for line in answer.json()}
        others = await shop.manager.get_all_session_handles_for_user("bob")
        assert listed == set(await shop.manager.get_all_session_handles_for_user("alice"))
        assert not listed & set(others)
        assert {line["this_device"] for line in answer.json()} == {True, False}
        names = {
            "session_handle",
            "this_device",
            "device_label",
            "ip_address",
            "created_at",
            "last_active_at",
            "expires_at",
            "authentication_methods",
            "actor",
        }
        assert all(set(line) == names for line in answer.json())
        said = answer.body.decode()
        for browser in (alice, phone, bob):
            assert not any(part in said for value in browser.cookies.values() for part in value.split("."))
        assert token["anti-csrf"] not in said


@pytest.mark.parametrize("fastapi", [False, True], ids=["session_routes", "session_router"])
async def test_7_5_2_another_users_session_is_404_like_one_that_never_was(opening: OpenShop, fastapi: bool) -> None:
    async with opening(fastapi=fastapi) as shop:
        alice, bob = await shop.login("alice"), await shop.login("bob")
        refused = await alice.delete(f"/auth/sessions/{await handle_of(bob)}")
        unknown = await alice.delete(f"/auth/sessions/{'0' * 32}")
        assert refused.status == unknown.status == 404
        assert (refused.body, refused.headers) == (unknown.body, unknown.headers)
        assert (await bob.get("/me")).status == 200


async def test_7_5_2_a_user_ends_one_of_the_own_sessions(any_shop: Shop) -> None:
    here, phone = await any_shop.login(), await any_shop.login()
    handle = await handle_of(phone)
    answer = await here.delete(f"/auth/sessions/{handle}")
    assert (answer.status, answer.set_cookies) == (204, [])
    assert (await phone.get("/me")).status == 401
    assert (await here.delete(f"/auth/sessions/{handle}")).status == 404
    assert (await here.get("/me")).status == 200


async def test_7_5_2_a_user_who_ends_this_very_session_is_logged_out(any_shop: Shop) -> None:
    here = await any_shop.login()
    answer = await here.delete(f"/auth/sessions/{await handle_of(here)}")
    assert (answer.status, answer.cleared) == (204, {ACCESS, REFRESH})


async def test_7_5_2_nobody_sees_or_ends_anything_without_a_session(shop: Shop) -> None:
    alice, nobody = await shop.login("alice"), shop.browser()
    handle = await handle_of(alice)
    assert (await nobody.get("/auth/sessions")).status == 401
    assert (await nobody.delete(f"/auth/sessions/{handle}")).status == 401
    assert (await nobody.post("/auth/sessions/revoke-others")).status == 401
    assert (await alice.get("/me")).status == 200


async def test_7_5_2_ended_sessions_are_not_in_the_list(any_shop: Shop) -> None:
    here, lost = await any_shop.login(), await any_shop.login()
    await lost.post("/auth/signout")
    assert len((await here.get("/auth/sessions")).json()) == 1
