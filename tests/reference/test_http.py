"""Rows 7 to 36 of the reference library's behaviours as a client sees them, against a real uvicorn on every engine.

Where a test takes `profile` unrestricted, both profiles behave alike. Tests of one engine share servers and their
clock; each logs in as a user of its own.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.reference.browser import Answer, Browser
from tests.reference.databases import execute_now
from tests.reference.http_app import Server, Servers
from tests.reference.profiles import (
    ACCESS,
    ID,
    REFRESH,
    REFRESH_PATH,
    Profile,
    with_default,
    with_reference,
)

PAYLOAD = {"role": "reader", "n": [1, None]}
RETRY = "__Host-sRetryMarker"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def server(servers: Servers, profile: Profile) -> Server:
    """A server with nothing but the profile's settings."""
    return servers(profile)


def refused(answer: Answer, code: str) -> bool:
    status = {"already_rotated": 409, "csrf_rejected": 403}.get(code, 401)
    return (answer.status, answer.code) == (status, code)


def assert_nothing_set(answer: Answer) -> None:
    assert answer.set_cookies == []
    assert "anti-csrf" not in answer


def assert_cleared(answer: Answer, profile: Profile) -> None:
    """Every cookie of the profile leaves, from the path where it was set, and no token arrives."""
    assert [cookie.name for cookie in answer.set_cookies] == profile.cookies
    assert all(cookie.clears for cookie in answer.set_cookies), answer.headers
    assert [cookie.attributes["path"] for cookie in answer.set_cookies] == list(profile.paths.values())
    assert "anti-csrf" not in answer


def assert_unauthorised_soon(browser: Browser, profile: Profile) -> None:
    deadline = time.monotonic() + PATIENCE  # within a second: but how busy is the machine?
    answer = browser.get()
    while answer.status == 200 and time.monotonic() < deadline:
        time.sleep(0.02)
        answer = browser.get()
    assert refused(answer, "unauthorised")
    assert_cleared(answer, profile)


def refreshed(browser: Browser) -> Answer:
    answer = browser.post(REFRESH_PATH, anti_csrf=False)
    assert answer.status == 200, answer
    return answer


# -- 7, 9, 10, 11: create and verify


def across_the_key_change(servers: Servers, profile: Profile) -> Browser:
    """A browser that logged in just before the signing key changed."""
    server = servers(profile, signing_key_lifetime="1h")
    servers.clock.advance(timedelta(minutes=59))
    server.log_in()  # the next key is published a minute ahead
    servers.clock.advance(timedelta(seconds=30))
    browser, before = server.log_in()
    servers.clock.advance(timedelta(seconds=40))
    _, after = server.log_in()
    headers = [answer.set_cookies[0].value.partition(".")[0] for answer in (before, after)]
    assert headers[0] != headers[1]
    return browser


@with_reference
def test_row_07_after_the_key_changed_a_request_must_refresh_and_can(servers: Servers, profile: Profile) -> None:
    browser = across_the_key_change(servers, profile)
    assert refused(browser.get(), "try_refresh_token")
    refreshed(browser)
    assert browser.get().status == 200


@with_default
def test_row_07_after_the_key_changed_access_tokens_are_still_accepted(servers: Servers, profile: Profile) -> None:
    answer = across_the_key_change(servers, profile).get()
    assert answer.status == 200
    assert_nothing_set(answer)


def test_row_09_create_gives_cookies_and_one_session(server: Server, profile: Profile) -> None:
    user_id = f"user {uuid.uuid4()}"
    browser, answer = server.log_in(user_id, PAYLOAD)
    assert answer.body["user_id"] == user_id
    assert answer.body["jwt_payload"] == PAYLOAD
    assert all(browser.cookies[name] for name in profile.cookies)
    assert ("anti-csrf" in answer) is profile.is_reference
    assert browser.post("/administration/handles", {"user_id": user_id}).body == {"handles": [answer.body["handle"]]}


def test_row_10_verify_gives_the_same_user_and_payload_and_no_new_token(server: Server, profile: Profile) -> None:
    browser, login = server.log_in(jwt_payload=PAYLOAD)
    for answer in (browser.get(), browser.get()):
        assert answer.status == 200
        assert answer.body == login.body
        assert_nothing_set(answer)


@with_reference
def test_row_11_a_wrong_or_missing_csrf_token_asks_for_a_refresh(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    other, _ = server.log_in()
    for answer in (
        browser.get(anti_csrf=False),
        browser.post("/me", anti_csrf=False),
        browser.get(anti_csrf=False, headers={"anti-csrf": "wrong"}),
        browser.get(anti_csrf=False, headers={"anti-csrf": str(other.anti_csrf)}),
    ):
        assert refused(answer, "try_refresh_token")
        assert_nothing_set(answer)
    assert browser.get().status == 200


@with_default
def test_row_11_a_request_of_another_site_is_csrf_rejected(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    for headers in (CROSS_SITE, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        answer = browser.post("/me", headers=headers)
        assert refused(answer, "csrf_rejected")
        assert_nothing_set(answer)
    assert browser.post("/me", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


# -- 13 to 18: refresh


def test_row_13_refresh_renews_every_value_and_keeps_user_and_payload(server: Server, profile: Profile) -> None:
    browser, login = server.log_in(jwt_payload=PAYLOAD)
    old, old_csrf = browser.cookies, browser.anti_csrf
    refreshed(browser)
    assert browser.cookies.keys() == old.keys() == set(profile.cookies)
    assert all(browser.cookies[name] != old[name] for name in old)
    assert (browser.anti_csrf is None) is (old_csrf is None)
    assert profile.is_reference is (browser.anti_csrf != old_csrf)
    assert browser.get().body == login.body


@with_reference
def test_row_14_the_first_verify_after_a_refresh_gives_a_new_access_token_and_the_next_none(
    server: Server, profile: Profile
) -> None:
    browser, login = server.log_in(jwt_payload=PAYLOAD)
    refreshed(browser)
    old = browser.cookies
    first = browser.get()
    assert [cookie.name for cookie in first.set_cookies] == [ACCESS]
    assert first.body == login.body
    assert browser.cookies[ACCESS] != old[ACCESS]
    assert {**browser.cookies, ACCESS: None} == {**old, ACCESS: None}
    second = browser.get()
    assert second.status == 200
    assert_nothing_set(second)


@with_default
def test_row_14_no_verify_after_a_refresh_rewrites_a_token(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    refreshed(browser)
    for answer in (browser.get(), browser.get()):
        assert answer.status == 200
        assert_nothing_set(answer)


def test_row_15_a_refresh_token_whose_lifetime_is_over_is_unauthorised(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    server.clock.advance(timedelta(days=14))
    answer = browser.post(REFRESH_PATH)
    assert refused(answer, "unauthorised")
    assert_cleared(answer, profile)
    assert browser.cookies == {}


def test_row_16_refreshes_in_a_row_without_the_access_tokens_all_succeed(server: Server, profile: Profile) -> None:
    browser, login = server.log_in()
    for _ in range(3):
        refreshed(browser)
    assert browser.get().body == login.body


@with_reference
def test_row_17_old_cookies_are_theft_once_the_new_access_token_was_used(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    assert browser.get().status == 200
    assert refused(old.post(REFRESH_PATH), "token_theft_detected")
    assert refused(browser.post(REFRESH_PATH), "unauthorised")


@with_default
def test_row_17_old_cookies_are_late_once_and_then_theft(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    assert browser.get().status == 200
    assert old.copy().post(REFRESH_PATH).status == 200  # the new refresh token was not used yet
    refreshed(browser)
    late = old.post(REFRESH_PATH)
    assert refused(late, "already_rotated")
    assert [cookie.name for cookie in late.set_cookies] == [RETRY]
    assert refused(old.post(REFRESH_PATH), "token_theft_detected")
    assert refused(browser.post(REFRESH_PATH), "unauthorised")


@with_default
def test_row_17_old_cookies_are_theft_at_once_after_two_minutes(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    refreshed(browser)
    server.clock.advance(timedelta(seconds=120, milliseconds=1))
    assert refused(old.post(REFRESH_PATH), "token_theft_detected")


@with_reference
def test_row_18_the_first_cookies_after_two_refreshes_are_theft(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    refreshed(browser)
    answer = old.post(REFRESH_PATH)
    assert refused(answer, "token_theft_detected")
    assert_cleared(answer, profile)


@with_default
def test_row_18_the_first_cookies_after_two_refreshes_are_late_once_and_then_theft(
    server: Server, profile: Profile
) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    server.clock.advance(timedelta(seconds=240))  # old enough for a child of its own, no twin
    refreshed(browser)
    assert refused(old.post(REFRESH_PATH), "already_rotated")
    answer = old.post(REFRESH_PATH)
    assert refused(answer, "token_theft_detected")
    # The marker stays: bound to one token of a session that is over, it is worth nothing.
    assert_cleared(answer, profile)


# -- 19, 20: values are kept


def test_row_19_session_info_is_kept_exactly(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    assert browser.get("/info").body == {"info": {}}
    for info in (2, "2", [None, {"a": 1.5}]):
        assert browser.request("PUT", "/info", {"info": info}).status == 200
        assert browser.get("/info").body == {"info": info}


def assert_user_id_kept(server: Server, user_id: Any) -> None:
    browser, login = server.log_in(user_id)
    verified = browser.get()
    refreshed(browser)
    for answer in (login, verified, browser.get()):
        kept = answer.body["user_id"]
        assert (type(kept), kept) == (type(user_id), user_id)


@pytest.mark.parametrize("user_id", [1, "1", '{"a":"testing"}', '{"a":1,"i":2}'], ids=repr)
def test_row_20_user_ids_keep_type_and_value(server: Server, profile: Profile, user_id: Any) -> None:
    assert_user_id_kept(server, user_id)


@with_default
def test_row_20_the_user_id_that_the_reference_refuses_is_kept_too(server: Server, profile: Profile) -> None:
    assert_user_id_kept(server, '{"i":"testing"}')


# -- 21 to 24: the end, by handle, by user and by time


def test_row_21_revoking_by_handle_ends_that_session_alone_and_once(server: Server, profile: Profile) -> None:
    user_id = f"user {uuid.uuid4()}"
    (gone, login), (other, _) = server.log_in(user_id), server.log_in(user_id)
    handle = {"handle": login.body["handle"]}
    answer = other.post("/administration/revoke", handle)
    assert answer.body == {"revoked": True}
    assert_nothing_set(answer)
    answer = gone.post(REFRESH_PATH)
    assert refused(answer, "unauthorised")
    assert_cleared(answer, profile)
    refreshed(other)
    assert other.get().status == 200
    assert other.post("/administration/revoke", handle).body == {"revoked": False}


@with_reference
def test_row_22_without_blacklisting_an_access_token_stays_valid_until_it_expires(
    server: Server, profile: Profile
) -> None:
    browser, login = server.log_in()
    browser.post("/administration/revoke", {"handle": login.body["handle"]})
    server.clock.advance(timedelta(minutes=4, seconds=59))
    assert browser.get().status == 200
    server.clock.advance(timedelta(seconds=1))
    assert refused(browser.get(), "try_refresh_token")
    answer = browser.post(REFRESH_PATH)
    assert refused(answer, "unauthorised")
    assert_cleared(answer, profile)


@with_reference
def test_row_22_with_blacklisting_an_access_token_is_unauthorised_at_once(servers: Servers, profile: Profile) -> None:
    server = servers(profile, revocation_check="database")
    browser, login = server.log_in()
    browser.post("/administration/revoke", {"handle": login.body["handle"]})
    answer = browser.get()
    assert refused(answer, "unauthorised")
    assert_cleared(answer, profile)


@with_default
def test_row_22_an_access_token_is_unauthorised_within_a_second_everywhere(servers: Servers, profile: Profile) -> None:
    server, elsewhere = servers(profile), servers(profile, worker=2)
    browser, login = server.log_in()
    other = browser.copy(elsewhere.url)
    assert other.get().status == 200
    browser.post("/administration/revoke", {"handle": login.body["handle"]})
    assert_unauthorised_soon(browser, profile)
    assert_unauthorised_soon(other, profile)


def three_revoked(server: Server) -> list[Browser]:
    user_id = f"user {uuid.uuid4()}"
    browsers = [server.log_in(user_id)[0] for _ in range(3)]
    answer = server.browser().post("/administration/revoke-all", {"user_id": user_id})
    assert answer.body == {"revoked": 3}
    assert server.browser().post("/administration/handles", {"user_id": user_id}).body == {"handles": []}
    return browsers


@with_reference
def test_row_23_revoking_all_leaves_none_and_access_tokens_until_they_expire(server: Server, profile: Profile) -> None:
    for browser in three_revoked(server):
        assert browser.get().status == 200
        assert refused(browser.post(REFRESH_PATH), "unauthorised")


@with_reference
def test_row_23_revoking_all_with_blacklisting_leaves_none_and_no_access_token(
    servers: Servers, profile: Profile
) -> None:
    for browser in three_revoked(servers(profile, revocation_check="database")):
        assert refused(browser.get(), "unauthorised")


@with_default
def test_row_23_revoking_all_leaves_none_and_no_access_token_within_a_second(server: Server, profile: Profile) -> None:
    for browser in three_revoked(server):
        assert_unauthorised_soon(browser, profile)


def test_row_24_a_purge_takes_expired_sessions_and_leaves_live_ones(server: Server, profile: Profile) -> None:
    user_id = f"user {uuid.uuid4()}"
    expired = [server.log_in(user_id)[0] for _ in range(3)]
    server.clock.advance(timedelta(days=14))
    live, login = server.log_in(user_id)
    assert live.post("/administration/purge").body["purged"] >= 3
    assert live.post("/administration/handles", {"user_id": user_id}).body == {"handles": [login.body["handle"]]}
    assert live.get().status == 200
    assert all(refused(browser.post(REFRESH_PATH), "unauthorised") for browser in expired)


# -- 25 to 29: what only the wire shows


def assert_golden(answer: Answer, profile: Profile, *, days: int = 14) -> None:
    """Name, path and every other attribute of each cookie, one line each and in order."""
    assert [cookie.name for cookie in answer.set_cookies] == profile.cookies
    for cookie, (name, path) in zip(answer.set_cookies, profile.paths.items(), strict=True):
        assert cookie.value
        attributes = dict(cookie.attributes)
        assert str(attributes.pop("expires")).endswith(" GMT")
        flags = {"secure": None, "samesite": "Lax"} | ({} if name == ID else {"httponly": None})
        assert attributes == {"path": path, "max-age": str(days * 86_400), **flags}


@with_reference
def test_row_25_login_sets_three_cookies_with_their_paths_and_an_anti_csrf_header(
    server: Server, profile: Profile
) -> None:
    _, answer = server.log_in()
    assert_golden(answer, profile)
    assert [cookie.attributes["path"] for cookie in answer.set_cookies] == ["/", REFRESH_PATH, "/"]
    assert len(answer["anti-csrf"]) >= 32
    assert answer["cache-control"] == "no-store"


@with_reference
def test_row_25_login_sets_the_cookies_with_the_paths_and_domain_of_the_settings(
    servers: Servers, profile: Profile
) -> None:
    server = servers(profile, access_token_path="/api", cookie_domain="example.com", cookie_samesite="strict")
    _, answer = server.log_in()
    assert [
        (cookie.name, cookie.attributes["path"], cookie.attributes["domain"], cookie.attributes["samesite"])
        for cookie in answer.set_cookies
    ] == [
        (ACCESS, "/api", "example.com", "Strict"),
        (REFRESH, REFRESH_PATH, "example.com", "Strict"),
        (ID, "/api", "example.com", "Strict"),
    ]


@with_default
def test_row_25_login_sets_two_host_cookies_for_the_whole_site_and_no_header(server: Server, profile: Profile) -> None:
    _, answer = server.log_in()
    assert_golden(answer, profile)
    assert "anti-csrf" not in answer
    assert answer["cache-control"] == "no-store"


@with_reference
def test_row_26_a_get_needs_the_anti_csrf_header(server: Server, profile: Profile) -> None:
    browser, login = server.log_in()
    answer = browser.get(anti_csrf=False)
    assert refused(answer, "try_refresh_token")
    assert_nothing_set(answer)
    assert browser.get().body == login.body


@with_reference
def test_row_26_the_status_of_try_refresh_token_is_that_of_the_settings(servers: Servers, profile: Profile) -> None:
    server = servers(profile, expired_status_code=440)
    browser, _ = server.log_in()
    answer = browser.get(anti_csrf=False)
    assert (answer.status, answer.code) == (440, "try_refresh_token")
    answer = server.browser().get()
    assert (answer.status, answer.code) == (440, "unauthorised")


@with_default
def test_row_26_a_get_succeeds_with_an_anti_csrf_header_and_without(server: Server, profile: Profile) -> None:
    browser, login = server.log_in()
    assert browser.get().body == login.body
    assert browser.get(headers={"anti-csrf": "any"}).body == login.body


@with_reference
def test_row_27_refresh_without_anti_csrf_gives_three_changed_cookies_and_a_new_anti_csrf(
    server: Server, profile: Profile
) -> None:
    browser, _ = server.log_in()
    old, old_csrf = browser.cookies, browser.anti_csrf
    answer = browser.post(REFRESH_PATH, anti_csrf=False)
    assert answer.status == 200
    assert_golden(answer, profile)
    assert all(cookie.value != old[cookie.name] for cookie in answer.set_cookies)
    assert answer["anti-csrf"] != old_csrf


@with_default
def test_row_27_refresh_gives_two_changed_cookies(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.cookies
    answer = browser.post(REFRESH_PATH)
    assert answer.status == 200
    assert_golden(answer, profile)
    assert all(cookie.value != old[cookie.name] for cookie in answer.set_cookies)


@with_reference
def test_row_28_refresh_with_old_cookies_is_theft_and_clears_three_cookies(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    browser.get()
    answer = old.post(REFRESH_PATH)
    assert refused(answer, "token_theft_detected")
    assert_cleared(answer, profile)
    assert old.cookies == {}


@with_default
def test_row_28_refresh_with_old_cookies_is_late_then_theft_and_clears_the_cookies(
    server: Server, profile: Profile
) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    refreshed(browser)
    refreshed(browser)
    kept = old.cookies
    late = old.post(REFRESH_PATH)
    assert refused(late, "already_rotated")
    assert old.cookies.items() >= kept.items()
    answer = old.post(REFRESH_PATH)
    assert refused(answer, "token_theft_detected")
    assert_cleared(answer, profile)


def test_row_29_with_csrf_off_there_is_no_anti_csrf_header_and_the_rest_works(
    servers: Servers, profile: Profile
) -> None:
    server = servers(profile, csrf="off")
    browser, login = server.log_in()
    assert_golden(login, profile)
    assert "anti-csrf" not in login
    for headers in ({}, {"anti-csrf": "any"}, CROSS_SITE):
        assert browser.post("/me", headers=headers).body == login.body
    old = browser.cookies
    answer = refreshed(browser)
    assert "anti-csrf" not in answer
    assert all(cookie.value != old[cookie.name] for cookie in answer.set_cookies)
    assert browser.get().body == login.body


# -- 30 to 34, 36: cookies leave, or stay


@with_reference
def test_row_30_logout_clears_three_cookies_and_the_access_token_stays_valid(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    copied = browser.copy()
    answer = browser.post("/logout")
    assert (answer.status, answer.body) == (200, {"message": "success"})
    assert_cleared(answer, profile)
    assert browser.cookies == {}
    assert copied.get().status == 200
    assert refused(copied.post(REFRESH_PATH), "unauthorised")


@with_reference
def test_row_30_logout_with_blacklisting_ends_the_access_token(servers: Servers, profile: Profile) -> None:
    browser, _ = servers(profile, revocation_check="database").log_in()
    copied = browser.copy()
    assert_cleared(browser.post("/logout"), profile)
    assert refused(copied.get(), "unauthorised")


@with_default
def test_row_30_logout_clears_the_cookies_and_ends_the_access_token(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    copied = browser.copy()
    answer = browser.post("/logout")
    assert (answer.status, answer.body) == (200, {"message": "success"})
    assert_cleared(answer, profile)
    assert browser.cookies == {}
    assert_unauthorised_soon(copied, profile)


@contextmanager
def own_server(servers: Servers, profile: Profile, prefix: str) -> Iterator[Server]:
    server = Server(profile.settings(servers.database_url, table_prefix=prefix), servers.clock)
    try:
        yield server
    finally:
        server.close()


def test_row_31_refresh_after_keys_and_rows_were_dropped_is_unauthorised(servers: Servers, profile: Profile) -> None:
    prefix = f"dropped_{profile.name}_"
    with own_server(servers, profile, prefix) as server:
        browser, _ = server.log_in()
        execute_now(servers.database_url, f"DELETE FROM {prefix}sessions", f"DELETE FROM {prefix}signing_keys")
        answer = browser.copy().post(REFRESH_PATH)
        assert refused(answer, "unauthorised")
        assert_cleared(answer, profile)
    with own_server(servers, profile, prefix) as restarted:
        answer = browser.copy(restarted.url).post(REFRESH_PATH)
        assert refused(answer, "unauthorised")
        assert_cleared(answer, profile)


def test_row_32_revoking_all_touches_no_cookie_and_each_refresh_is_unauthorised(
    server: Server, profile: Profile
) -> None:
    user_id = f"user {uuid.uuid4()}"
    browsers = [server.log_in(user_id)[0] for _ in range(3)]
    kept = browsers[0].cookies
    answer = browsers[0].post("/administration/revoke-all", {"user_id": user_id})
    assert (answer.status, answer.body) == (200, {"revoked": 3})
    assert_nothing_set(answer)
    assert browsers[0].cookies == kept
    for browser in browsers:
        answer = browser.post(REFRESH_PATH)
        assert refused(answer, "unauthorised")
        assert_cleared(answer, profile)
        assert browser.cookies == {}


def test_row_33_without_cookies_a_request_is_unauthorised_and_nothing_is_set(server: Server) -> None:
    # The reference clears: with that another site's form, whose request comes without cookies, empties the jar.
    for answer in (server.browser().get(), server.browser().post(REFRESH_PATH)):
        assert refused(answer, "unauthorised")
        assert_nothing_set(answer)
        assert not {"front-token", "id-refresh-token"} & {name.lower() for name, _ in answer.headers}


@with_reference
def test_row_34_without_the_access_cookie_a_request_must_refresh_and_keeps_its_cookies(
    server: Server, profile: Profile
) -> None:
    browser, _ = server.log_in()
    browser.forget(ACCESS)
    answer = browser.get()
    assert refused(answer, "try_refresh_token")
    assert_nothing_set(answer)
    refreshed(browser)
    assert browser.get().status == 200


@with_default
def test_row_34_without_the_access_cookie_a_request_is_refreshed_inline(server: Server, profile: Profile) -> None:
    browser, login = server.log_in()
    browser.forget(profile.cookie(ACCESS))
    answer = browser.get()
    assert answer.body == login.body
    assert_golden(answer, profile)


def test_row_35_the_options_helper_allows_the_clients_headers_and_credentials(
    servers: Servers, profile: Profile
) -> None:
    origin = "https://app.example.com"
    server = servers(profile, cors="outside", trusted_origins=[origin])
    asked = "anti-csrf, supertokens-sdk-name, supertokens-sdk-version" if profile.is_reference else "content-type"
    answer = server.browser().request(
        "OPTIONS",
        "/me",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )
    assert answer.status == 200
    assert answer["access-control-allow-origin"] == origin
    assert answer["access-control-allow-credentials"] == "true"
    allowed = {name.strip().lower() for name in answer["access-control-allow-headers"].split(",")}
    assert set(asked.split(", ")) <= allowed


@with_reference
def test_row_36_revoking_a_session_whose_row_is_gone_keeps_the_cookies(servers: Servers, profile: Profile) -> None:
    for server in (servers(profile), servers(profile, revocation_check="database")):
        browser, _ = server.log_in()
        kept = browser.cookies
        answer = browser.post("/logout-of-a-session-that-is-gone")
        assert (answer.status, answer.body) == (200, {"gone": True})
        assert_nothing_set(answer)
        assert browser.cookies == kept


@with_default
def test_row_36_revoking_a_session_whose_row_is_gone_clears_the_cookies(server: Server, profile: Profile) -> None:
    browser, _ = server.log_in()
    answer = browser.post("/logout-of-a-session-that-is-gone")
    assert (answer.status, answer.body) == (200, {"gone": True})
    assert_cleared(answer, profile)
