"""Another domain, prefix or path of the cookies, or another way to refresh: nobody is logged out, nothing is hidden."""

from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionSettings, session_routes
from asgi_sessions.asgi.session_cookies import SessionCookies
from asgi_sessions.asgi.transport import Transport
from tests.asgi.apps import LIFETIME, application, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

HOST = "https://app.shop.example"
DOMAIN = {"cookie_domain": "shop.example"}
ENDPOINT: dict[str, Any] = {"refresh": "endpoint"}
HTTP: dict[str, Any] = {"cookie_prefix": "__Host-Http-"}
PARTITIONED: dict[str, Any] = {"cookie_samesite": "none", "cookie_partitioned": True}
REFRESH_PATH = "/auth/session/refresh"
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "shared with subdomains": ({}, DOMAIN | {"older_cookie_domains": "host-only"}),
    "no longer shared": (DOMAIN, {"older_cookie_domains": "shop.example"}),
    "shared more widely": (
        {"cookie_domain": "app.shop.example"},
        DOMAIN | {"older_cookie_domains": "app.shop.example"},
    ),
    "another prefix": ({}, {"cookie_prefix": "__Secure-shop-", "older_cookie_prefixes": "automatic"}),
    "from no prefix": ({"cookie_prefix": "none"}, {"older_cookie_prefixes": "none"}),
    "to no prefix": ({}, {"cookie_prefix": "none", "older_cookie_prefixes": "automatic"}),
    "to HttpOnly's prefix": ({}, HTTP | {"older_cookie_prefixes": "automatic"}),
    "from HttpOnly's prefix": (HTTP, {"older_cookie_prefixes": "__Host-Http-"}),
    "supertokens, HttpOnly's prefix": (
        {"client_protocol": "supertokens"},
        HTTP | {"client_protocol": "supertokens", "older_cookie_prefixes": "none"},
    ),
    "domain and prefix": (
        DOMAIN | {"cookie_prefix": "none"},
        {"older_cookie_domains": "shop.example", "older_cookie_prefixes": "none"},
    ),
    "another path": ({}, {"access_token_path": "/a", "older_cookie_paths": "/"}),
    "from another path": ({"access_token_path": "/a"}, {"older_cookie_paths": "/a"}),
    "to the endpoint": ({}, ENDPOINT | {"older_cookie_paths": "/"}),
    "to the endpoint, no prefix": (
        {"cookie_prefix": "none"},
        ENDPOINT | {"cookie_prefix": "none", "older_cookie_paths": "/"},
    ),
    "from the endpoint": (ENDPOINT, {"older_cookie_paths": REFRESH_PATH}),
    "from the endpoint, no prefix": (
        ENDPOINT | {"cookie_prefix": "none"},
        {"cookie_prefix": "none", "older_cookie_paths": REFRESH_PATH},
    ),
    "to partitioned": (
        {"cookie_samesite": "none"},
        PARTITIONED | {"older_cookie_partitioned": False},
    ),
    "from partitioned": (PARTITIONED, {"older_cookie_partitioned": True}),
    "to partitioned, with a domain": (
        DOMAIN,
        DOMAIN | PARTITIONED | {"older_cookie_partitioned": False},
    ),
    "supertokens": (
        {"client_protocol": "supertokens"},
        DOMAIN | {"client_protocol": "supertokens", "older_cookie_domains": "host-only"},
    ),
}


class Deployment:
    """One database, the application with the settings before a change and after it, and one browser."""

    def __init__(self, open_client: OpenClient, before: SessionManager, after: SessionManager) -> None:
        self._clients = {
            "before": open_client(_application(before), base_url=HOST),
            "after": open_client(_application(after), base_url=HOST),
        }
        self.after = after
        self.jar = CookieJar()
        for client in self._clients.values():
            client.cookies.jar = self.jar

    @property
    def old(self) -> TestClient:
        return self._clients["before"]

    @property
    def new(self) -> TestClient:
        return self._clients["after"]

    def cookies(self) -> set[tuple[str, str, str]]:
        return {(cookie.name, cookie.domain, cookie.path) for cookie in self.jar}


def _application(manager: SessionManager) -> Any:
    return application(manager, Mount("/auth", routes=session_routes()), Mount("/a", application(manager)))


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    return CHANGES[request.param]


@pytest.fixture
def deploy(open_client: OpenClient, clock: MovableClock, tmp_path: Path) -> Callable[..., Deployment]:
    def deployed(before: dict[str, Any], after: dict[str, Any]) -> Deployment:
        where = {
            "database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}",
            "revocation_check": "database",  # so that the two need not wait for each other's news
        }
        return Deployment(open_client, new_manager(clock, **where, **before), new_manager(clock, **where, **after))

    return deployed


@pytest.fixture
def changed(deploy: Callable[..., Deployment], change: tuple[dict[str, Any], dict[str, Any]]) -> Deployment:
    """A browser that logged in before the change."""
    deployed = deploy(*change)
    assert deployed.old.post("/a/login").status_code == 200
    return deployed


def own(manager: SessionManager) -> set[tuple[str, str]]:
    cookies = SessionCookies(manager.settings)
    own = [cookies.access, cookies.refresh, *([cookies.id_refresh] if cookies.id_refresh else [])]
    return {(cookie.name, cookie.path) for cookie in own}


def test_nobody_is_logged_out(changed: Deployment) -> None:
    assert changed.new.get("/a/me").status_code == 200


def test_the_next_refresh_moves_all_cookies_over(changed: Deployment, clock: MovableClock) -> None:
    clock.advance(LIFETIME)
    answer = changed.new.post(REFRESH_PATH)
    assert answer.status_code == 200
    assert {(name, path) for name, _, path in changed.cookies()} == own(changed.after)
    assert len(changed.cookies()) == len(own(changed.after))
    clock.advance(LIFETIME)
    assert changed.new.post(REFRESH_PATH).status_code == 200
    assert changed.new.get("/a/me").status_code == 200


@pytest.mark.parametrize("way", ["refresh", "login"])
def test_what_is_cleared_comes_before_what_is_set(
    way: str, deploy: Callable[..., Deployment], clock: MovableClock
) -> None:
    # To a browser that does not know Partitioned both are one cookie, and the last header counts.
    changed = deploy({"cookie_samesite": "none"}, PARTITIONED | {"older_cookie_partitioned": False})
    changed.old.post("/a/login")
    clock.advance(LIFETIME)
    answer = changed.new.get("/a/me") if way == "refresh" else changed.new.post("/a/login")
    assert answer.status_code == 200
    cookies = answer.headers.get_list("set-cookie")
    assert ["Max-Age=0" in cookie for cookie in cookies] == [True, True, False, False]
    assert ["Partitioned" in cookie for cookie in cookies] == [False, False, True, True]


def test_a_page_is_refreshed_inline_or_told_where_to_ask(
    changed: Deployment, clock: MovableClock, change: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    if "client_protocol" in change[1]:
        pytest.skip("the client refreshes by itself")
    clock.advance(LIFETIME)
    answer = changed.new.get("/a/me")
    if answer.status_code != 200:  # the refresh cookie did not come
        assert answer.json()["code"] == "try_refresh_token"
        assert "set-cookie" not in answer.headers
        assert changed.new.post(REFRESH_PATH).status_code == 200
    assert changed.new.get("/a/me").status_code == 200


@pytest.mark.parametrize("later", [0.0, LIFETIME], ids=["fresh", "expired"])
def test_a_sign_out_ends_the_session_and_empties_the_jar(
    changed: Deployment, clock: MovableClock, later: float
) -> None:
    clock.advance(later)
    kept = [(cookie.name, cookie.value) for cookie in changed.jar]
    path = "/a/logout" if "/a" in str(changed.cookies()) else "/auth/signout"
    assert changed.new.post(path).status_code in {200, 401}
    if path == "/a/logout" and later:
        changed.new.post("/auth/signout")
    assert changed.cookies() == set()
    changed.old.cookies.clear()
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in kept)}
    for client in (changed.old, changed.new):  # after a rollback too
        assert client.get("/a/me", headers=header).status_code == 401
        assert client.post(REFRESH_PATH, headers=header).status_code == 401


def test_a_login_ends_the_session_and_leaves_its_own_cookies_alone(changed: Deployment) -> None:
    kept = [(cookie.name, cookie.value) for cookie in changed.jar]
    assert changed.new.post("/a/login?user=bob").status_code == 200
    assert {(name, path) for name, _, path in changed.cookies()} == own(changed.after)
    assert len(changed.cookies()) == len(own(changed.after))
    changed.jar.clear()
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in kept)}
    assert changed.old.post(REFRESH_PATH, headers=header).status_code == 401


def test_beside_earlier_cookies_the_present_ones_count_and_both_end_at_the_sign_out(
    deploy: Callable[..., Deployment],
) -> None:
    deployed = deploy(*CHANGES["shared with subdomains"])
    client = deployed.new
    old = deployed.old.post("/login?user=alice", headers={"cookie": "none=1"})
    kept = [header.partition(";")[0] for header in old.headers.get_list("set-cookie")]
    deployed.jar.clear()
    assert client.post("/login?user=bob").status_code == 200
    present = [f"{cookie.name}={cookie.value}" for cookie in deployed.jar]
    deployed.jar.clear()
    for order in ([*kept, *present], [*present, *kept]):
        header = {"cookie": "; ".join(order)}
        assert client.get("/me", headers=header).json()["user"] == "bob"
    assert client.post("/auth/signout", headers=header).status_code == 200
    for jar in (kept, present):
        assert client.post(REFRESH_PATH, headers={"cookie": "; ".join(jar)}).status_code == 401


def test_without_the_setting_earlier_cookies_do_not_count(deploy: Callable[..., Deployment]) -> None:
    deployed = deploy({}, DOMAIN)
    deployed.old.post("/login")
    assert deployed.new.get("/me").status_code == 401


def test_a_request_with_the_present_cookie_looks_for_no_other() -> None:
    plain = Transport(SessionSettings(cookie_domain="shop.example"))
    changed = Transport(SessionSettings(**CHANGES["shared with subdomains"][1]))
    assert plain.names_alone is not None
    assert changed.names_alone is not None
    assert changed.names_alone[: len(plain.names_alone)] == plain.names_alone
    assert set(changed.names_alone) - set(plain.names_alone) == {b"__Host-sAccessToken", b"__Host-sRefreshToken"}


READS: dict[str, Any] = {"older_cookie_prefixes": "__Host-Http-"}
WRITES: dict[str, Any] = HTTP | {"older_cookie_prefixes": "automatic"}


@pytest.mark.parametrize("workers", [({}, READS), (READS, WRITES), (WRITES, HTTP)], ids=["first", "second", "last"])
@pytest.mark.parametrize("logs_in", ["old", "new"])
def test_a_step_of_the_change_of_prefix_logs_nobody_out_while_workers_of_both_kinds_run(
    workers: tuple[dict[str, Any], dict[str, Any]],
    logs_in: str,
    deploy: Callable[..., Deployment],
    clock: MovableClock,
) -> None:
    """Each worker reads what the other one writes: in the last step since the older names are no longer in use."""
    both = deploy(*workers)
    clients = {"old": both.old, "new": both.new}
    assert clients[logs_in].post("/login").status_code == 200
    if workers == (WRITES, HTTP):
        clock.advance(LIFETIME)
        assert both.old.get("/me").status_code == 200
    for turn in ["old", "new", "new", "old", "old", "old", "new", "old", "new", "new", "new", "old"]:
        assert clients[turn].get("/me").status_code == 200
        clock.advance(LIFETIME if turn == "new" else LIFETIME / 3)
    assert clients[logs_in].post("/auth/signout").status_code == 200
    assert both.cookies() == set()
    assert [client.get("/me").status_code for client in clients.values()] == [401, 401]


def test_in_one_step_the_other_workers_would_know_nobody(deploy: Callable[..., Deployment]) -> None:
    """Why there are two: a worker of before does not know the new names."""
    both = deploy({}, WRITES)
    assert both.new.post("/login").status_code == 200
    assert both.old.get("/me").status_code == 401
    assert both.new.get("/me").status_code == 200


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        (HTTP, True),
        (WRITES, True),
        (READS, True),
        ({"cookie_prefix": "__Http-"}, False),
        (HTTP | {"older_cookie_prefixes": "none"}, False),
        (HTTP | {"older_cookie_prefixes": "__Http-"}, False),
        (HTTP | {"older_cookie_domains": "shop.example"}, False),
    ],
)
def test_who_can_have_set_the_refresh_cookie(settings: dict[str, Any], expected: bool, clock: MovableClock) -> None:
    cookies = SessionCookies(new_manager(clock, **settings).settings)
    name = cookies.refresh.name.encode()
    assert cookies.read([(b"cookie", name + b"=x")]).only_host_sets_refresh is expected


def test_the_cookie_that_scripts_read_has_the_prefix_that_lets_them(clock: MovableClock) -> None:
    for prefix, expected in (("__Host-Http-", "__Host-"), ("__Http-", "__Secure-"), ("__Http-a-", "__Secure-a-")):
        manager = new_manager(clock, client_protocol="supertokens", cookie_prefix=prefix)
        cookies = SessionCookies(manager.settings)
        assert cookies.access.name == f"{prefix}sAccessToken"
        assert cookies.id_refresh is not None
        assert (cookies.id_refresh.name, cookies.id_refresh.http_only) == (f"{expected}sIdRefreshToken", False)
