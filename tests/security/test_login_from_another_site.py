"""A login that an identity provider's page brings by a form: for that origin, for the login, and for nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionMiddleware, get_session
from asgi_sessions.errors import CsrfRejected
from tests.security.browser import ORIGIN, Browser
from tests.security.conftest import OpenShop
from tests.security.shop import ACCESS, REFRESH, Shop

PROVIDER = "https://appleid.apple.com"
EVIL = "https://evil.example"
FORM = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
FROM_PROVIDER = [*FORM, ("origin", PROVIDER)]
FROM_NULL = [*FORM, ("origin", "null")]


class Callbacks:
    """Routes to which identity providers post.

    Attributes:
        shop: Whose sessions.
        app: ``/apple`` names the provider's origin, ``/keycloak`` a page of no origin too, ``/login`` none.
    """

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        origins: dict[str, Any] = {"/login": None, "/apple": PROVIDER, "/keycloak": [PROVIDER, "null"]}
        self.app = SessionMiddleware(
            Starlette(
                routes=[
                    *(Route(path, self._login(origin), methods=["POST", "PUT"]) for path, origin in origins.items()),
                    Route("/tries", self._tries, methods=["POST"]),
                    WebSocketRoute("/socket", self._socket),
                ]
            ),
            shop.manager,
        )

    def browser(self) -> Browser:
        return Browser(self.app)

    def _login(self, origin: Any) -> Any:
        async def login(request: Request) -> Response:
            session = await self.shop.manager.create_new_session(request, "alice", allow_origin=origin)
            return JSONResponse({"handle": session.session_handle})

        return login

    async def _tries(self, request: Request) -> Response:
        """What may be done with the session that came, before the login, and with the new one after it."""
        found = []
        for ask in (get_session, self.shop.manager.refresh_session):
            try:
                await ask(request)
            except CsrfRejected:
                found.append("refused")
        new = await self.shop.manager.create_new_session(request, "bob", allow_origin=PROVIDER)
        same = await get_session(request)
        return JSONResponse([*found, same.session_handle == new.session_handle])

    async def _socket(self, websocket: WebSocket) -> None:
        await self.shop.manager.create_new_session(websocket, "alice", allow_origin=PROVIDER)
        await websocket.accept()


@pytest.fixture(params=["fetch-metadata", "token", "both"])
async def callbacks(request: pytest.FixtureRequest, opening: OpenShop) -> AsyncIterator[Callbacks]:
    async with opening(csrf=request.param, require_origin=True) as shop:
        yield Callbacks(shop)


@pytest.mark.parametrize("headers", [FROM_PROVIDER, [("origin", PROVIDER)]])
async def test_3_5_rule_1_the_form_of_a_named_origin_logs_in(
    callbacks: Callbacks, headers: list[tuple[str, str]]
) -> None:
    for path in ("/apple", "/keycloak"):
        answer = await callbacks.browser().post(path, headers)
        assert (answer.status, set(answer.set_values)) == (200, {ACCESS, REFRESH}), path
    assert (await callbacks.browser().post("/login", headers)).code == "csrf_rejected"
    assert (await callbacks.browser().post("/apple", [("origin", ORIGIN)])).status == 200  # and its own, as ever


@pytest.mark.parametrize(
    "headers",
    [
        [*FORM, ("origin", EVIL)],
        FROM_NULL,
        FORM,
        [],
        [*FORM, ("origin", f"{PROVIDER}/")],
        [*FORM, ("origin", f"{PROVIDER}:443")],
        [*FORM, ("origin", "http://appleid.apple.com")],
        [*FORM, ("origin", "https://appleid.apple.com.evil.example")],
        [*FROM_PROVIDER, ("origin", PROVIDER)],
        [*FROM_PROVIDER, ("origin", EVIL)],
        [*FORM, ("referer", f"{PROVIDER}/auth")],
        # a script of the provider's pages, or of a page that has got hold of its origin
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("origin", PROVIDER)],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("origin", PROVIDER)],
        [*FROM_PROVIDER, ("sec-fetch-mode", "navigate")],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", ""), ("origin", PROVIDER)],
    ],
)
async def test_3_5_rule_1_nothing_else_does(callbacks: Callbacks, headers: list[tuple[str, str]]) -> None:
    browser = callbacks.browser()
    assert (await browser.post("/apple", [("origin", ORIGIN)])).status == 200
    answer = await browser.post("/apple", headers)
    assert (answer.code, answer.set_cookies) == ("csrf_rejected", [])
    assert len(await callbacks.shop.manager.get_all_session_handles_for_user("alice")) == 1


async def test_3_5_rule_1_a_page_of_no_origin_is_allowed_only_by_name(callbacks: Callbacks) -> None:
    assert (await callbacks.browser().post("/apple", FROM_NULL)).code == "csrf_rejected"
    assert (await callbacks.browser().post("/keycloak", FROM_NULL)).status == 200


async def test_3_5_the_log_says_what_was_sent_and_what_is_allowed(
    opening: OpenShop, caplog: pytest.LogCaptureFixture
) -> None:
    async with opening() as shop:
        await Callbacks(shop).browser().post("/apple", FROM_NULL)
    assert caplog.messages[-1] == (
        "Refused a request of another site's page that brought no good access token "
        f"('POST /apple', Origin 'null'; allow_origin of this login names '{PROVIDER}')."
    )


async def test_3_5_rule_1_no_other_method_and_no_websocket_is_exempt(callbacks: Callbacks) -> None:
    assert (await callbacks.browser().send("PUT", "/apple", FROM_PROVIDER)).code == "csrf_rejected"
    assert (await callbacks.browser().connect("/socket", FROM_PROVIDER)).status == 403


async def test_3_5_rule_1_nothing_but_the_login_is_done_with_a_session_on_such_a_request(opening: OpenShop) -> None:
    async with opening(cookie_samesite="none") as shop:
        callbacks = Callbacks(shop)
        browser = await shop.login("alice")
        old = browser.copy()
        browser.app = callbacks.app
        assert (await browser.post("/tries", FROM_PROVIDER)).json() == ["refused", "refused", True]
        browser.app = shop.app
        assert (await browser.get("/me")).json()["user"] == "bob"
        assert (await old.get("/me")).status == 401  # what the login has replaced is ended, as by any login
        for path in ("/me", "/logout", "/auth/signout", "/auth/session/refresh", "/payload", "/login/bob"):
            assert (await browser.post(path, FROM_PROVIDER)).code == "csrf_rejected", path


async def test_3_5_a_login_without_the_cookies_of_before_leaves_none_that_could_hide_it(opening: OpenShop) -> None:
    # Lax cookies do not come with another site's POST, Strict ones with no link from there either.
    async with opening(older_cookie_domains="shop.example", older_cookie_prefixes="none") as shop:
        for answer in (
            await Callbacks(shop).browser().post("/apple", FROM_PROVIDER),
            await shop.browser().post("/login/alice"),
        ):
            cleared = [cookie for cookie in answer.set_cookies if "; Max-Age=0;" in cookie]
            assert {cookie.partition("=")[0] for cookie in cleared} == {
                *("__Secure-sAccessToken", "__Secure-sRefreshToken"),  # of the domain
                *("sAccessToken", "sRefreshToken"),
            }
            assert sum("Domain=shop.example" in cookie for cookie in cleared) == 4
            assert set(answer.set_values) == {ACCESS, REFRESH}


@pytest.mark.parametrize("origin", ["*", "https://*.apple.com", "https://appleid.apple.com/", "", "apple", "file://"])
async def test_3_5_an_origin_that_is_not_exact_is_a_mistake_that_is_named(shop: Shop, origin: str) -> None:
    for given in (origin, [PROVIDER, origin]):
        with pytest.raises(ValueError, match=r"^allow_origin: each must be an exact origin"):
            await shop.manager.create_new_session(Request({"type": "http"}), "alice", allow_origin=given)


async def test_3_5_a_named_origin_is_brought_into_the_browsers_form(shop: Shop) -> None:
    callbacks = Callbacks(shop)
    callbacks.app = SessionMiddleware(
        Starlette(routes=[Route("/", callbacks._login("HTTPS://AppleID.apple.com:443"), methods=["POST"])]),
        shop.manager,
    )
    assert (await callbacks.browser().post("/", FROM_PROVIDER)).status == 200
