"""ASVS 5.0, V9: access tokens through the middleware. What the signature does not cover is the attacker's to choose."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from jwt import PyJWS

from asgi_sessions.asgi.credentials import MAX_COPIES
from asgi_sessions.protocol.keyring import SigningKey
from tests.security import forging
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Shop, open_shop
from tests.security.statements import counted


@pytest.fixture(params=["HS256", "EdDSA", "ES256"])
async def signed_shop(request: pytest.FixtureRequest, opening: OpenShop) -> AsyncIterator[Shop]:
    """A shop for each signature algorithm."""
    async with opening(signing_algorithm=request.param) as shop:
        yield shop


async def test_9_1_no_forged_token_is_anybodys_session(signed_shop: Shop) -> None:
    browser = await signed_shop.login()
    published = await browser.get("/auth/jwks.json")
    jwks = published.json() if published.status == 200 else None
    genuine = browser.cookies[ACCESS]
    corpus = dict(forging.forgeries(genuine, jwks))
    assert len(corpus) > 170
    for name, token in corpus.items():
        if token == genuine:
            continue
        text = token.encode("utf-8", "surrogatepass").decode("latin-1")
        answer = await signed_shop.browser().get("/me", cookies=[(ACCESS, text)])
        assert (answer.status, answer.code) == (401, "unauthorised"), name
        assert answer.set_values == {}, name
    # The one it was all made from is good, so nothing above was refused for another reason.
    assert (await browser.get("/me")).status == 200


async def test_9_1_forged_bearer_tokens_are_nobodys_session(opening: OpenShop) -> None:
    async with opening(token_transport="header") as shop:
        issued = await shop.manager.create_new_session_without_request("alice")
        genuine = issued.access_token.value
        for name, token in forging.forgeries(genuine):
            text = token.encode("utf-8", "surrogatepass").decode("latin-1")
            answer = await shop.browser().get("/me", [("authorization", f"Bearer {text}")])
            assert answer.status == 401, name
        assert (await shop.browser().get("/me", [("authorization", f"Bearer {genuine}")])).status == 200


async def test_9_1_forged_tokens_cost_no_statement(shop: Shop) -> None:
    browser = await shop.login()
    corpus = list(forging.forgeries(browser.cookies[ACCESS]))
    with counted() as statements:
        for _, token in corpus:
            text = token.encode("utf-8", "surrogatepass").decode("latin-1")
            await shop.browser().get("/me", cookies=[(ACCESS, text)])
    assert statements == []


async def test_9_1_a_forged_token_beside_a_genuine_refresh_token_is_refreshed_not_believed(shop: Shop) -> None:
    browser = await shop.login()
    genuine = browser.cookies[ACCESS]
    body = forging.claims(genuine) | {"sub": "admin", "payload": {"role": "admin"}}
    forged = forging.written(forging.head(genuine), body, b"x" * 32)
    answer = await browser.get("/admin", cookies=[(ACCESS, forged), (REFRESH, browser.cookies[REFRESH])])
    assert answer.code == "invalid_claim"
    assert (await browser.get("/me")).json()["user"] == "alice"


async def test_9_1_a_token_of_another_installation_is_nobodys_session(
    opening: OpenShop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('other') / 'sessions.db'}"
    async with opening() as here, opening(clock=here.clock) as worker, open_shop(other) as elsewhere:
        stranger = await elsewhere.login("alice")
        await here.login("alice")
        for shop in (here, worker):
            stranger.app = shop.app
            for path in ("/me", "/auth/session/refresh"):
                assert (await stranger.copy().post(path)).status == 401


# -- key ids are untrusted input


@pytest.mark.parametrize("kind", [ACCESS, REFRESH, "both"])
async def test_9_1_unknown_key_ids_cause_at_most_one_reload_per_second(shop: Shop, kind: str) -> None:
    browser = await shop.login()
    begin = time.monotonic()
    with counted() as statements:
        for number in range(1, 300):
            cookies = []
            if kind != REFRESH:
                cookies += [(ACCESS, forging.of_unknown_key(browser.cookies[ACCESS], number))]
            if kind != ACCESS:
                cookies += [(REFRESH, forging.refresh_of_unknown_key(browser.cookies[REFRESH], number))]
            assert (await shop.browser().get("/me", cookies=cookies)).status == 401
    reloads = 1 + int(time.monotonic() - begin)
    assert all("signing_keys" in statement and statement.startswith("SELECT") for statement in statements)
    # A reload reads the keys for each of the two purposes.
    assert 2 <= len(statements) <= 2 * reloads


async def test_9_1_unknown_key_ids_in_parallel_cause_one_reload(shop: Shop) -> None:
    browser = await shop.login()
    begin = time.monotonic()
    with counted() as statements:
        await asyncio.gather(
            *(
                shop.browser().get("/me", cookies=[(ACCESS, forging.of_unknown_key(browser.cookies[ACCESS], number))])
                for number in range(1, 60)
            )
        )
    assert len(statements) <= 2 * (1 + int(time.monotonic() - begin))


async def test_9_1_one_request_full_of_unknown_key_ids_causes_one_reload(shop: Shop) -> None:
    browser = await shop.login()
    cookies = [(ACCESS, forging.of_unknown_key(browser.cookies[ACCESS], number)) for number in range(1, MAX_COPIES)]
    with counted() as statements:
        await shop.browser().get("/me", cookies=cookies)
        await shop.browser().get("/me", cookies=cookies)
    assert len(statements) == 2


async def test_9_1_a_key_of_another_worker_is_loaded_at_its_first_token(opening: OpenShop) -> None:
    async with opening() as one, opening(clock=one.clock) as two:
        before = await two.login()
        one.clock.forward(hours=24, minutes=-1)
        await one.login()  # publishes the next key
        one.clock.forward(minutes=1, seconds=1)
        browser = await one.login()
        assert forging.head(browser.cookies[ACCESS])["kid"] != forging.head(before.cookies[ACCESS])["kid"]
        browser.app = two.app
        assert (await browser.get("/me")).status == 200


# -- 9.2: signed with the right key, and still not an access token of ours


def _signed(key: SigningKey, body: dict[str, Any], **header: Any) -> str:
    headers = {"kid": key.key_id, "typ": "at+jwt"} | header
    return PyJWS().encode(json.dumps(body, separators=(",", ":")).encode(), key.sign_key, key.algorithm, headers)


REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid", "auth_time", "sexp", "gen", "payload"]
WRONG: dict[str, list[Any]] = {
    "iss": [None, "", "asgi-sessions", "https://evil.example", ["asgi_sessions"], 1],
    "aud": [None, "", "api", "asgi_sessions", "staff_", ["asgi_sessions_"], ["asgi_sessions_", "api"], {}],
    "exp": [None, "9999999999", True, [], -1, 1e300, 10**30],
    "iat": [None, "0", True, {}, -1, 1e300],
    "sub": [None, 42, ["alice"], {"a": 1}, "x" * 300, "\ud800"],
    "uit": ["int", "uuid", "str", "", 1, True, ["int"]],
    "sid": [None, "", "x", 1, "A" * 32, "0" * 31, "0" * 33, "../../x", "0" * 32 + "\n"],
    "gen": [None, -1, "0", 1.0, True, 2**63],
    "csrf": [1, [], {}, True],
    "lin": [None, [], "x", {}, [1, 2, 3, 4, 5], ["x"] * 5, 1],
}


async def test_9_2_a_token_like_ours_in_all_but_its_making_is_good(shop: Shop) -> None:
    browser = await shop.login()
    body = forging.claims(browser.cookies[ACCESS])
    token = _signed(shop.manager.lifecycle.keys.keyring.newest, body)
    assert (await browser.get("/me", cookies=[(ACCESS, token)])).status == 200


@pytest.mark.parametrize("name", REQUIRED)
async def test_9_2_no_claim_may_be_missing(shop: Shop, name: str) -> None:
    browser = await shop.login()
    body = {key: value for key, value in forging.claims(browser.cookies[ACCESS]).items() if key != name}
    token = _signed(shop.manager.lifecycle.keys.keyring.newest, body)
    assert (await browser.get("/me", cookies=[(ACCESS, token)])).status == 401


async def test_9_2_no_claim_may_be_of_another_kind(shop: Shop) -> None:
    browser = await shop.login()
    body = forging.claims(browser.cookies[ACCESS])
    for name, value in ((name, value) for name, values in WRONG.items() for value in values):
        token = _signed(shop.manager.lifecycle.keys.keyring.newest, body | {name: value})
        answer = await shop.browser().get("/me", cookies=[(ACCESS, token)])
        assert answer.status == 401, (name, value)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+JWT", "rt+jwt", None, 1])
async def test_9_2_the_type_is_exactly_ours(shop: Shop, kind: Any) -> None:
    browser = await shop.login()
    token = (
        _signed(shop.manager.lifecycle.keys.keyring.newest, forging.claims(browser.cookies[ACCESS]), typ=kind)
        if isinstance(kind, str)
        else forging.written(
            forging.head(browser.cookies[ACCESS]) | {"typ": kind},
            forging.claims(browser.cookies[ACCESS]),
            bytes(shop.manager.lifecycle.keys.keyring.newest.sign_key),  # type: ignore[arg-type]  # HS256: bytes
        )
    )
    assert (await browser.get("/me", cookies=[(ACCESS, token)])).status == 401


async def test_9_2_an_expired_token_is_no_session_to_the_millisecond(opening: OpenShop) -> None:
    async with opening(refresh="endpoint") as shop:
        browser = await shop.login()
        shop.clock.forward(minutes=5, milliseconds=-1)
        assert (await browser.get("/me")).status == 200
        shop.clock.forward(milliseconds=1)
        answer = await browser.get("/me")
        assert (answer.code, answer.set_cookies) == ("try_refresh_token", [])


async def test_9_2_no_kind_of_token_serves_as_another(opening: OpenShop) -> None:
    async with opening(csrf="both", promote_on="first_use") as shop:
        issued = await shop.manager.create_new_session_without_request("alice")
        assert issued.anti_csrf_token is not None
        token = issued.refresh_token.value
        codec = shop.manager.lifecycle.keys.retry_markers
        marker = codec.encode(issued.session.session_handle, 0, shop.clock.now + 60_000)
        kinds = {
            "access": issued.access_token.value,
            "refresh": token,
            "marker": marker,
            "csrf": issued.anti_csrf_token.value,
            "handle": issued.session.session_handle,
        }
        csrf = [("anti-csrf", kinds["csrf"])]
        for name, value in kinds.items():
            answer = await shop.browser().get("/me", csrf, cookies=[(ACCESS, value)])
            assert answer.status == (200 if name == "access" else 401), name
        for name, value in kinds.items():
            refreshed = await shop.browser().post("/auth/session/refresh", cookies=[(REFRESH, value)])
            assert refreshed.status == (200 if name == "refresh" else 401), name


async def test_9_2_bearer_tokens_of_the_wrong_kind_are_refused(opening: OpenShop) -> None:
    async with opening(token_transport="any") as shop:
        issued = await shop.manager.create_new_session_without_request("alice")
        access, refresh = issued.access_token.value, issued.refresh_token.value
        browser = shop.browser()
        assert (await browser.get("/me", [("authorization", f"Bearer {refresh}")])).code == "try_refresh_token"
        refused = await browser.post("/auth/session/refresh", [("authorization", f"Bearer {access}")])
        assert refused.code == "unauthorised"
        assert (await browser.get("/me", [("authorization", f"Bearer {access}")])).status == 200
