"""The wire of `supertokens-website`, both generations of it, against a real uvicorn.

What is on the wire does not depend on the database, so one engine is enough.
"""

import base64
import json
import re
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from asgi_sessions import ConfigurationError, cors_headers
from tests.reference.browser import Answer, Browser
from tests.reference.http_app import Server, Servers
from tests.reference.profiles import ACCESS, ID, REFERENCE, REFRESH, REFRESH_PATH, Profile

PAYLOAD = {"role": "reader", "n": [1, None]}
SPOKEN = ("id-refresh-token", "anti-csrf", "front-token", "st-access-token", "st-refresh-token")
OLD_CLIENT = {"supertokens-sdk-name": "website", "supertokens-sdk-version": "4.3.1"}
NEW_CLIENT = {"rid": "session", "fdi-version": "1.16,1.17", "st-auth-mode": "cookie"}
HEADER_MODE = {"rid": "anti-csrf", "fdi-version": "1.17", "st-auth-mode": "header"}
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the other modules take each engine in turn."""
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('wire') / 'sessions.db'}"


@pytest.fixture
def profile() -> Profile:
    """The one whose client this is."""
    return REFERENCE


@pytest.fixture
def server(servers: Servers, profile: Profile) -> Server:
    """A server of the reference profile."""
    return servers(profile)


def front_token(answer: Answer) -> Any:
    return json.loads(base64.b64decode(answer["front-token"], validate=True))


def assert_cleared(answer: Answer, names: Sequence[str] = (ACCESS, REFRESH, ID)) -> None:
    assert [cookie.name for cookie in answer.set_cookies] == list(names)
    assert all(cookie.clears for cookie in answer.set_cookies)
    assert answer["id-refresh-token"] == answer["front-token"] == "remove"
    assert "anti-csrf" not in answer
    assert_exposed(answer)


def assert_kept(answer: Answer) -> None:
    assert answer.set_cookies == []
    assert not any(name in answer for name in SPOKEN)


def assert_exposed(answer: Answer) -> None:
    """Everything for the client can be read by it, in one header, no name twice."""
    assert {name for name in SPOKEN if name in answer} <= set(answer.exposed)
    assert len(answer.exposed) == len(set(answer.exposed))


# -- the old client, 4.0 to 4.3


def test_a_login_carries_the_id_its_expiry_and_the_third_cookie(server: Server) -> None:
    _, answer = server.log_in()
    value, _, until = answer["id-refresh-token"].partition(";")
    assert str(uuid.UUID(value)) == value
    assert int(until) == server.clock() + 14 * 86_400_000
    access, refresh, third = answer.set_cookies
    assert (access.name, refresh.name, third.name) == (ACCESS, REFRESH, ID)
    assert third.value == value
    assert third.attributes["path"] == access.attributes["path"]
    assert third.attributes["expires"] == refresh.attributes["expires"]
    assert "httponly" not in third.attributes
    assert "httponly" in access.attributes
    assert "httponly" in refresh.attributes
    assert_exposed(answer)
    assert {"id-refresh-token", "anti-csrf", "front-token"} <= set(answer.exposed)


def test_a_refresh_without_anti_csrf_is_exactly_200_and_all_is_new(server: Server) -> None:
    browser, login = server.log_in()
    answer = browser.post(REFRESH_PATH, anti_csrf=False, headers=OLD_CLIENT)
    assert answer.status == 200
    assert all(answer[name] != login[name] for name in ("id-refresh-token", "anti-csrf"))
    assert re.fullmatch(r"[0-9a-f-]{36};\d{13}", answer["id-refresh-token"])
    assert len(answer.set_cookies) == 3
    assert_exposed(answer)


def test_a_protected_route_without_anti_csrf_asks_for_a_refresh(server: Server) -> None:
    browser, _ = server.log_in()
    answer = browser.get(anti_csrf=False, headers=OLD_CLIENT)
    assert answer.code == "try_refresh_token"
    assert_kept(answer)


def test_a_logout_says_remove_and_sets_no_anti_csrf(server: Server) -> None:
    browser, _ = server.log_in()
    answer = browser.post("/logout", headers=OLD_CLIENT)
    assert answer.status == 200
    assert_cleared(answer)


def test_a_theft_says_remove_and_sets_no_anti_csrf(server: Server) -> None:
    browser, _ = server.log_in()
    old = browser.copy()
    browser.post(REFRESH_PATH)
    browser.get()
    answer = old.post(REFRESH_PATH, headers=OLD_CLIENT)
    assert answer.code == "token_theft_detected"
    assert_cleared(answer)


def test_expired_and_logged_out_have_the_one_status_of_the_settings(servers: Servers, profile: Profile) -> None:
    server = servers(profile, expired_status_code=440)
    browser, _ = server.log_in()
    server.clock.advance(timedelta(minutes=5))
    expired = browser.get()
    assert (expired.status, expired.code) == (440, "try_refresh_token")
    browser.forget(REFRESH)
    ended = browser.post(REFRESH_PATH)
    assert (ended.status, ended.code) == (440, "unauthorised")
    browser, _ = server.log_in()
    old = browser.copy()
    browser.post(REFRESH_PATH)
    browser.get()
    stolen = old.post(REFRESH_PATH)
    assert (stolen.status, stolen.code) == (440, "token_theft_detected")


# -- cookies that are missing


def test_without_the_access_cookie_a_request_asks_for_a_refresh_and_keeps_the_cookies(server: Server) -> None:
    browser, _ = server.log_in()
    browser.forget(ACCESS)
    answer = browser.get()
    assert (answer.status, answer.code) == (401, "try_refresh_token")
    assert_kept(answer)


def test_without_the_id_cookie_a_request_is_unauthorised_and_cleared(server: Server) -> None:
    browser, _ = server.log_in()
    browser.forget(ID)
    answer = browser.get()
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert_cleared(answer, [ACCESS, REFRESH])  # the refresh cookie did not come, since it has another path
    assert browser.cookies == {}


def test_with_the_refresh_cookie_alone_which_does_not_come_nothing_is_cleared(server: Server) -> None:
    browser, _ = server.log_in()
    browser.forget(ID)
    browser.forget(ACCESS)
    answer = browser.get()
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert_kept(answer)


def test_a_refresh_without_the_refresh_cookie_is_unauthorised_and_cleared(server: Server) -> None:
    browser, _ = server.log_in()
    browser.forget(REFRESH)
    answer = browser.post(REFRESH_PATH, headers=OLD_CLIENT)
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert_cleared(answer, [ACCESS, ID])
    assert browser.cookies == {}


@pytest.mark.parametrize("client", [OLD_CLIENT, NEW_CLIENT, HEADER_MODE], ids=["old", "new", "header-mode"])
def test_an_anonymous_refresh_is_a_clean_401(servers: Servers, profile: Profile, client: dict[str, str]) -> None:
    for server in (servers(profile), servers(profile, token_transport="any")):
        answer = server.browser().post(REFRESH_PATH, headers=client)
        assert (answer.status, answer.code) == (401, "unauthorised")
        assert_kept(answer)  # the client takes the status for the end by itself, and says so to the page once


# -- the new client, 5.0 to 20.x


@pytest.mark.parametrize("user_id", ["user 1", 42])
def test_a_session_answer_carries_a_front_token_with_user_expiry_and_payload(server: Server, user_id: Any) -> None:
    browser, login = server.log_in(user_id, PAYLOAD)
    for answer in (login, browser.post(REFRESH_PATH, headers=NEW_CLIENT)):
        front = front_token(answer)
        until = server.clock() + 300_000
        assert front == {
            "uid": user_id,
            "ate": until,
            "up": {**PAYLOAD, "iat": server.clock() // 1000, "exp": until // 1000},
        }
        assert_exposed(answer)


def test_a_front_token_of_a_payload_that_is_no_object_holds_the_times_alone(server: Server) -> None:
    for payload in (None, [1], "text"):
        _, answer = server.log_in(jwt_payload=payload)
        assert front_token(answer)["up"].keys() == {"iat", "exp"}


def test_a_changed_payload_arrives_in_a_new_front_token(server: Server) -> None:
    browser, login = server.log_in(jwt_payload=PAYLOAD)
    answer = browser.request("PUT", "/payload", {"payload": {"role": "writer"}})
    changed = front_token(answer)
    assert (changed["uid"], changed["ate"]) == (front_token(login)["uid"], front_token(login)["ate"])
    assert changed["up"].keys() == {"role", "iat", "exp"}
    assert changed["up"]["role"] == "writer"
    assert [cookie.name for cookie in answer.set_cookies] == [ACCESS]
    assert browser.get().body["jwt_payload"] == {"role": "writer"}
    assert_exposed(answer)


def test_the_access_token_after_a_first_use_lasts_no_longer_and_is_good_on_every_worker(
    servers: Servers, profile: Profile
) -> None:
    server, elsewhere = servers(profile), servers(profile, worker=2)
    browser, _ = server.log_in(jwt_payload=PAYLOAD)
    refreshed = browser.post(REFRESH_PATH)
    before = browser.copy()
    server.clock.advance(timedelta(seconds=10))
    first = browser.get()
    assert front_token(first) == front_token(refreshed)
    assert_exposed(first)
    other = browser.copy(elsewhere.url).get()
    assert other.status == 200
    assert_kept(other)
    # An answer that was lost costs nothing: the older token is answered in the same way again.
    again = before.get()
    assert [cookie.value for cookie in again.set_cookies] == [cookie.value for cookie in first.set_cookies]


def test_a_logout_at_the_first_use_clears_and_hands_out_nothing(server: Server) -> None:
    browser, _ = server.log_in()
    browser.post(REFRESH_PATH)
    answer = browser.post("/logout", headers=NEW_CLIENT)
    assert answer.status == 200
    assert_cleared(answer)


def test_sign_out_clears_and_a_failed_claim_is_403(server: Server) -> None:
    browser, _ = server.log_in(jwt_payload=PAYLOAD)
    answer = browser.get("/administrator", headers=NEW_CLIENT)
    assert (answer.status, answer.code) == (403, "invalid_claim")
    reason = {"message": "wrong value", "expectedValue": "admin"}
    assert answer.body["claimValidationErrors"] == [{"id": "role", "reason": reason}]
    assert_kept(answer)
    answer = browser.post("/auth/signout", headers=NEW_CLIENT)
    assert (answer.status, answer.body) == (200, {"status": "OK"})
    assert_cleared(answer)


def test_a_refresh_may_carry_anti_csrf_as_the_new_client_sends_it(server: Server) -> None:
    browser, _ = server.log_in()
    assert browser.post(REFRESH_PATH, headers=NEW_CLIENT).status == 200
    assert browser.post(REFRESH_PATH, anti_csrf=False, headers={**NEW_CLIENT, "anti-csrf": "wrong"}).status == 200


# -- header mode


@pytest.fixture
def native(servers: Servers, profile: Profile) -> Browser:
    """A client that keeps its tokens itself."""
    return servers(profile, token_transport="any").browser()


def bearer(token: str) -> dict[str, str]:
    return {**HEADER_MODE, "Authorization": f"Bearer {token}"}


def log_in_by_header(native: Browser) -> Answer:
    answer = native.post("/login", {"user_id": f"user {uuid.uuid4()}", "jwt_payload": PAYLOAD}, headers=HEADER_MODE)
    assert answer.status == 200
    return answer


def test_header_mode_hands_out_tokens_in_headers_and_no_cookie(native: Browser) -> None:
    answer = log_in_by_header(native)
    assert answer.set_cookies == []
    assert answer["st-access-token"]
    assert answer["st-refresh-token"]
    assert front_token(answer)["up"]["role"] == "reader"
    assert {"st-access-token", "st-refresh-token", "front-token"} <= set(answer.exposed)
    assert_exposed(answer)


def test_header_mode_takes_the_access_token_as_bearer_and_needs_no_anti_csrf(native: Browser) -> None:
    login = log_in_by_header(native)
    for method in ("GET", "POST"):
        answer = native.request(method, "/me", headers=bearer(login["st-access-token"]), anti_csrf=False)
        assert answer.body == login.body
    anonymous = native.get(headers=HEADER_MODE)
    assert (anonymous.status, anonymous.code) == (401, "unauthorised")


def test_header_mode_refreshes_with_the_refresh_token_as_bearer(native: Browser) -> None:
    login = log_in_by_header(native)
    answer = native.post(REFRESH_PATH, headers=bearer(login["st-refresh-token"]), anti_csrf=False)
    assert answer.status == 200
    assert answer.set_cookies == []
    assert answer["st-access-token"] != login["st-access-token"]
    assert answer["st-refresh-token"] != login["st-refresh-token"]
    assert_exposed(answer)
    used = native.get(headers=bearer(answer["st-access-token"]), anti_csrf=False)
    assert used.body == login.body
    stolen = native.post(REFRESH_PATH, headers=bearer(login["st-refresh-token"]), anti_csrf=False)
    assert (stolen.status, stolen.code) == (401, "token_theft_detected")
    assert_cleared_by_header(stolen)


def test_header_mode_refuses_each_token_in_the_place_of_the_other(native: Browser) -> None:
    login = log_in_by_header(native)
    wrong = native.get(headers=bearer(login["st-refresh-token"]), anti_csrf=False)
    assert (wrong.status, wrong.code) == (401, "try_refresh_token")
    wrong = native.post(REFRESH_PATH, headers=bearer(login["st-access-token"]), anti_csrf=False)
    assert (wrong.status, wrong.code) == (401, "unauthorised")


def test_header_mode_clears_by_empty_tokens_and_the_word_remove(native: Browser) -> None:
    login = log_in_by_header(native)
    answer = native.post("/logout", headers=bearer(login["st-access-token"]), anti_csrf=False)
    assert answer.status == 200
    assert_cleared_by_header(answer)


def assert_cleared_by_header(answer: Answer) -> None:
    assert answer.set_cookies == []
    assert answer["st-access-token"] == answer["st-refresh-token"] == ""
    assert answer["front-token"] == answer["id-refresh-token"] == "remove"
    assert "anti-csrf" not in answer
    assert_exposed(answer)


def test_cookie_mode_stays_possible_beside_header_mode(native: Browser) -> None:
    answer = native.post("/login", {"user_id": "user 1"}, headers=NEW_CLIENT)
    assert [cookie.name for cookie in answer.set_cookies] == [ACCESS, REFRESH, ID]
    assert "st-access-token" not in answer
    assert native.get(headers=NEW_CLIENT).status == 200


# -- cross-origin


@pytest.mark.parametrize("place", ["inside", "outside"])
@pytest.mark.parametrize("transport", ["cookie", "any"])
def test_cross_origin_answers_expose_what_they_carry(
    servers: Servers, profile: Profile, place: str, transport: str
) -> None:
    server = servers(profile, cors=place, trusted_origins=[PAGE], token_transport=transport)
    mode = HEADER_MODE if transport == "any" else NEW_CLIENT
    browser = server.browser()
    page = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
    login = browser.post("/login", {"user_id": "user 1"}, headers={**page, **mode})
    token = bearer(login["st-access-token"]) if transport == "any" else {}
    logout = browser.post("/logout", headers={**page, **token})
    for answer in (login, logout):
        assert answer.status == 200
        assert answer["access-control-allow-origin"] == PAGE
        assert answer["access-control-allow-credentials"] == "true"
        assert_exposed(answer)
    assert logout["front-token"] == "remove"


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_cross_origin_errors_can_be_read_too(servers: Servers, profile: Profile, place: str) -> None:
    server = servers(profile, cors=place, trusted_origins=[PAGE], token_transport="cookie")
    answer = server.browser().get(headers={"Origin": PAGE})
    assert answer.code == "unauthorised"
    assert answer["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_preflight_allows_what_both_clients_send_and_another_origin_nothing(
    servers: Servers, profile: Profile, place: str
) -> None:
    server = servers(profile, cors=place, trusted_origins=[PAGE], token_transport="any")
    sent = sorted({*OLD_CLIENT, *NEW_CLIENT, "anti-csrf", "authorization"})
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ",".join(sent)}
    answer = server.browser().request("OPTIONS", REFRESH_PATH, headers={"Origin": PAGE, **asked})
    assert (answer.status, answer["access-control-allow-origin"]) == (200, PAGE)
    stranger = server.browser().request("OPTIONS", REFRESH_PATH, headers={"Origin": "https://evil.example", **asked})
    assert stranger.status == 400
    assert "access-control-allow-origin" not in stranger


def test_the_cors_helper_names_nothing_twice(profile: Profile) -> None:
    for transport in ("cookie", "header", "any"):
        settings = profile.settings("sqlite+aiosqlite://", token_transport=transport, trusted_origins=[PAGE])
        helper = cors_headers(settings)
        for names in (helper["allow_headers"], helper["expose_headers"]):
            assert len(names) == len({name.lower() for name in names})
        assert helper["allow_origins"] == (PAGE,)
        assert "x-background-request" in helper["allow_headers"]


def test_samesite_none_needs_secure() -> None:
    with pytest.raises(ConfigurationError, match=r"^cookie_samesite: "):
        REFERENCE.settings("sqlite+aiosqlite://", cookie_samesite="none", cookie_secure=False)
