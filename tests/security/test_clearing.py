"""No answer deletes a cookie that did not come with its request: else other sites' pages log users out.

A cross-site form post, or with SameSite=Strict any link from elsewhere, comes without the cookies, but what its answer
sets is kept.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.store.repository import SessionRepository
from tests.security.browser import Answer, Browser
from tests.security.conftest import OpenShop
from tests.security.shop import Shop

REFERENCE = {
    "refresh": "endpoint",
    "csrf": "token",
    "promote_on": "first_use",
    "late_parent_window": 0,
    "min_refresh_age": 0,
    "client_protocol": "supertokens",
    "cookie_prefix": "",
    "revocation_check": "none",
}
PROFILES: Mapping[str, dict[str, Any]] = {
    "default": {},
    "strict": {"cookie_samesite": "strict", "revocation_check": "database"},
    "endpoint": {"refresh": "endpoint"},
    "reference": REFERENCE,
    "reference, blacklisting": REFERENCE | {"revocation_check": "database"},
    "reference, either transport": REFERENCE | {"token_transport": "any"},
    "supertokens, inline": {"client_protocol": "supertokens"},
    "shared with subdomains": {"cookie_domain": "shop.example", "older_cookie_domains": "host-only"},
    "another path": {"access_token_path": "/me", "refresh": "endpoint", "cookie_prefix": "none"},
    "either transport": {"token_transport": "any"},
    "no check": {"csrf": "off"},
}
ERRORS = {
    "unauthorised",
    "try_refresh_token",
    "token_theft_detected",
    "already_rotated",
    "csrf_rejected",
    "invalid_claim",
    "reauthentication_required",
    "session_limit_reached",
    "store_unavailable",
}
NEVER = {
    "reference": {"already_rotated"},  # late_parent_window=0
    "reference, blacklisting": {"already_rotated"},
    "reference, either transport": {"already_rotated"},
    "no check": {"csrf_rejected"},
}
WORDS = ("front-token", "id-refresh-token", "st-access-token", "st-refresh-token")
CROSS_SITE = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
IMAGE = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]
REQUESTS: Sequence[tuple[str, str, list[tuple[str, str]]]] = [
    ("GET", "/me", []),
    ("GET", "/me", IMAGE),
    ("GET", "/perhaps", []),
    ("POST", "/me", CROSS_SITE),
    ("GET", "/admin", []),
    ("GET", "/recent", []),
    ("GET", "/checked", []),
    ("POST", "/auth/session/refresh", []),
    ("POST", "/auth/session/refresh", CROSS_SITE),
    ("POST", "/auth/signout", CROSS_SITE),
    ("POST", "/login/alice", []),
    ("POST", "/logout", []),
    ("POST", "/auth/signout", []),
]
"""Those that end a session come last."""


class _Jars:
    """Makes jars of every kind that a request may come with."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def login(self) -> Browser:
        browser = self._shop.browser()
        for _ in range(2):  # the limit is one session
            answer = await browser.post("/login/alice", cookies=[])
            if answer.status == 200:
                break
            await self._shop.manager.revoke_all_sessions_for_user("alice")
        self.csrf = [("anti-csrf", token) for token in answer.all("anti-csrf")]
        return browser

    async def all(self) -> dict[str, dict[str, str]]:
        live = await self.login()
        return {"nothing": {}, "garbage": dict.fromkeys(live.cookies, "x" * 238), "live": live.cookies}

    async def rotated(self) -> Browser:
        """A copy of before two rotations, of which the newer one has been used."""
        browser = await self.login()
        before = browser.copy()
        for _ in range(2):
            self._shop.clock.forward(minutes=6)
            answer = await browser.post("/auth/session/refresh")
            assert answer.status == 200
            await browser.get("/me", [("anti-csrf", token) for token in answer.all("anti-csrf")])
        return before


def subsets(cookies: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    for count in range(len(cookies) + 1):
        yield from ([*chosen] for chosen in itertools.combinations(cookies.items(), count))


def hidden(header: str, path: str) -> bool:
    """Whether a browser keeps this cookie for another path than the request's."""
    kept_for = header.partition("; Path=")[2].partition(";")[0]
    return not (path == kept_for or path.startswith(kept_for.rstrip("/") + "/"))


def deletes_no_other(answer: Answer, path: str, came: Sequence[tuple[str, str]]) -> None:
    names = {name for name, _ in came}
    token = any(name.endswith(("sAccessToken", "sRefreshToken")) for name in names)
    for header in answer.set_cookies:
        if "; Max-Age=0;" in header:
            assert header.partition("=")[0] in names or (token and hidden(header, path)), (header, names)
    if not any(name.endswith("Token") for name in names):
        assert answer.cleared == set()
        for word in WORDS:
            assert not {"remove", ""} & set(answer.all(word)), (word, names)


@pytest.mark.parametrize("profile", PROFILES)
async def test_7_4_1_no_answer_deletes_what_did_not_come(
    profile: str, opening: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PROFILES[profile] | {"max_sessions_per_user": 1, "max_sessions_action": "reject"}
    seen: set[str] = set()
    async with opening(**settings) as shop:
        jars = _Jars(shop)

        async def try_all(cookies: Mapping[str, str]) -> None:
            for (method, path, headers), came in itertools.product(REQUESTS, list(subsets(cookies))):
                answer = await shop.browser().send(method, path, [*headers, *jars.csrf], cookies=came)
                if answer.status != 200 or path in {"/perhaps", "/logout", "/auth/signout"}:
                    deletes_no_other(answer, path, came)
                seen.add(str(answer.code))

        for cookies in (await jars.all()).values():
            await try_all(cookies)
        marked = await jars.rotated()
        came = list(marked.cookies.items())
        late = await marked.post("/auth/session/refresh")
        deletes_no_other(late, "/auth/session/refresh", came)
        seen.add(str(late.code))
        await try_all(dict(came) | marked.cookies)
        old = await jars.login()
        shop.clock.forward(minutes=11)
        await try_all(old.cookies)
        old = await jars.login()
        shop.clock.forward(minutes=11)
        jars.csrf = [("anti-csrf", token) for token in (await old.post("/auth/session/refresh")).all("anti-csrf")]
        await try_all(old.cookies)
        stolen = await jars.rotated()
        shop.clock.forward(minutes=6)
        await try_all(stolen.cookies)
        ended = await jars.login()
        await shop.manager.revoke_all_sessions_for_user("alice")
        await try_all(ended.cookies)
        unlucky = await jars.login()
        with monkeypatch.context() as broken:
            broken.setattr(SessionRepository, "find", unavailable)
            shop.clock.forward(minutes=6)
            await try_all(unlucky.cookies)
    assert seen - {"None"} == ERRORS - NEVER.get(profile, set())


async def unavailable(*_: object, **__: object) -> None:
    raise StoreUnavailable


@pytest.mark.parametrize("profile", PROFILES)
async def test_7_4_1_what_came_and_has_ended_is_deleted(profile: str, opening: OpenShop) -> None:
    async with opening(**PROFILES[profile]) as shop:
        browser = await shop.login()
        await shop.manager.revoke_all_sessions_for_user("alice")
        sent = dict(browser.cookies)
        answer = await browser.post("/auth/session/refresh", cookies=list(sent.items()))
        assert (answer.code, answer.cleared) == ("unauthorised", set(sent))


async def test_7_4_1_what_a_bearer_presents_is_taken_back_and_nothing_else(opening: OpenShop) -> None:
    async with opening(**PROFILES["reference, either transport"]) as shop:
        nobody = await shop.browser().get("/me", [("st-auth-mode", "header")])
        assert [value for word in WORDS for value in nobody.all(word)] == []
        issued = await shop.manager.create_new_session_without_request("alice")
        await shop.manager.revoke_all_sessions_for_user("alice")
        refresh = [("authorization", f"Bearer {issued.refresh_token.value}")]
        answer = await shop.browser().post("/auth/session/refresh", refresh)
        assert [value for word in WORDS for value in answer.all(word)] == ["remove", "remove", "", ""]
        assert answer.set_cookies == []
