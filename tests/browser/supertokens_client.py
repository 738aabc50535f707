"""The unmodified `supertokens-website`, a version of each of its wires, in Chromium against a real server.

Needs npm, which fetches them, and is no part of `make test` for that: ``make supertokens-client``.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from asgi_sessions import SessionSettings
from asgi_sessions.testing import MovableClock
from tests.browser.supertokens_page import Page
from tests.reference.http_app import Server
from tests.reference.profiles import ACCESS, ID, REFERENCE, REFRESH, REFRESH_PATH

VERSIONS = ("4.2.0", "5.0.1", "10.0.10", "16.0.10", "20.1.6")
WITHOUT_EVENTS = ("4.2.0", "5.0.1")
"""They tell the page nothing, and have no sign-out of their own."""
ENDED = "UNAUTHORISED true"
"""The event that says that there was a session."""


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sources(version: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The client and what it needs, by path; a package's own name leads to its first module."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("npm is not installed: the client cannot be fetched", pytrace=False)
    folder = tmp_path_factory.mktemp("client")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    subprocess.run([*command, f"supertokens-website@{version}"], check=True, capture_output=True, timeout=300)
    found: dict[str, str] = {}
    for package in (folder / "node_modules").glob("*/package.json"):
        name, main = package.parent.name, json.loads(package.read_text()).get("main", "index.js")
        if name.startswith(("supertokens", "browser-tabs-lock")):
            found[name] = f'module.exports = require("./{name}/{main}")'
            found |= {f"{name}/{file.relative_to(package.parent)}": file.read_text() for file in _scripts(package)}
    return found


def _scripts(package: Path) -> Iterator[Path]:
    return (
        file for file in package.parent.rglob("*.js") if "node_modules" not in file.relative_to(package.parent).parts
    )


@pytest.fixture(params=["database", "none"])
def page(
    request: pytest.FixtureRequest,
    version: str,
    sources: dict[str, str],
    tmp_path: Path,
    new_browser: Callable[..., Chrome],
) -> Iterator[Page]:
    given = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", "revocation_check": request.param}
    if request.param == "database":
        given["token_transport"] = "any"  # for which a browser with cookies is the same
    server = Server(SessionSettings(**{**REFERENCE.values, **given}), MovableClock())
    yield Page(new_browser(), server, sources, old=version == "4.2.0")
    server.close()


@pytest.fixture
def in_headers(
    version: str, sources: dict[str, str], tmp_path: Path, new_browser: Callable[..., Chrome]
) -> Iterator[Page]:
    """The client keeps the tokens itself, and the server takes them from headers, too."""
    if version in {"4.2.0", "5.0.1", "10.0.10"}:
        pytest.skip("this version has cookies alone")
    given = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", "token_transport": "any"}
    server = Server(SessionSettings(**{**REFERENCE.values, **given}), MovableClock())
    yield Page(new_browser(), server, sources, transfer="header")
    server.close()


def is_over(page: Page) -> bool:
    return page.jar == set() and page.call("doesSessionExist") is False


def test_one_refresh_serves_all_that_found_the_access_token_expired(page: Page, version: str) -> None:
    page.log_in()
    page.server.clock.advance(360)
    assert [status for status, _ in page.ask("GET", "/me", times=5)] == [200] * 5
    assert page.refreshes == 1
    assert ("REFRESH_SESSION" in page.events) == (version not in WITHOUT_EVENTS)
    [(status, _)] = page.ask("POST", "/me", {})  # with the new anti-csrf token
    assert (status, page.refreshes) == (200, 0)


def test_a_changed_payload_arrives(page: Page, version: str) -> None:
    page.log_in()
    [(status, _)] = page.ask("PUT", "/payload", {"payload": {"role": "editor"}})
    assert status == 200
    if version != "4.2.0":  # which cannot be asked
        read = "getJWTPayloadSecurely" if version in WITHOUT_EVENTS else "getAccessTokenPayloadSecurely"
        assert page.call(read)["role"] == "editor"


def test_a_logout_empties_the_jar_and_is_told_once(page: Page, version: str) -> None:
    page.log_in()
    [(status, _)] = page.ask("POST", "/logout", {})
    assert (status, page.events) == (200, [] if version in WITHOUT_EVENTS else ["SIGN_OUT"])
    assert is_over(page)


def test_the_clients_own_sign_out_does_too(page: Page, version: str) -> None:
    if version not in WITHOUT_EVENTS:
        page.log_in()
        page.call("signOut")
        assert page.events == ["SIGN_OUT"]
        assert is_over(page)


def test_a_session_that_has_ended_is_told_once_when_its_access_token_has_expired(page: Page, version: str) -> None:
    page.log_in()
    page.log_out_elsewhere()
    page.server.clock.advance(360)
    [(status, _)] = page.ask("GET", "/me")
    assert (status, page.events) == (401, [] if version in WITHOUT_EVENTS else [ENDED])
    assert is_over(page)


def test_before_that_the_client_says_besides_that_nobody_is_logged_in(page: Page, version: str) -> None:
    page.log_in()
    page.log_out_elsewhere()
    [(status, _)] = page.ask("GET", "/me")
    if page.server.settings.revocation_check == "none":
        assert status == 200
    else:
        assert status == 401
        assert page.events == ([] if version in WITHOUT_EVENTS else [ENDED, "UNAUTHORISED false"])
        assert is_over(page)


def test_lost_cookies_are_told_once(page: Page, version: str) -> None:
    page.log_in()
    for name, path in ((ACCESS, "/"), (ID, "/"), (REFRESH, REFRESH_PATH)):
        page.forget(name, path)
    assert page.jar == set()
    [(status, _)] = page.ask("GET", "/me")
    assert (status, page.events) == (401, [] if version in WITHOUT_EVENTS else [ENDED])
    assert is_over(page)


def test_a_visitor_has_lost_no_session(page: Page) -> None:
    [(status, _)] = page.ask("GET", "/me")
    assert status == 401
    assert ENDED not in page.events
    assert is_over(page)


def test_two_tabs_refresh_once_and_take_nothing_from_each_other(page: Page) -> None:
    page.log_in()
    page.new_tab()
    page.server.clock.advance(360)
    assert page.ask("POST", "/me", {}, times=3)[0][0] == 200
    assert page.refreshes == 1
    page.switch_tab()
    for _ in range(2):
        assert [status for status, _ in page.ask("POST", "/me", {}, times=3)] == [200] * 3
        assert page.refreshes == 0
        page.switch_tab()


def test_a_sign_out_is_seen_in_the_other_tab(page: Page, version: str) -> None:
    page.log_in()
    page.new_tab()
    assert page.call("doesSessionExist")
    if version in WITHOUT_EVENTS:
        page.ask("POST", "/logout", {})
    else:
        page.call("signOut")
    page.switch_tab()
    assert is_over(page)
    assert page.ask("GET", "/me")[0][0] == 401


def test_a_failed_claim_is_told_with_its_name_and_reason(page: Page, version: str) -> None:
    page.log_in()
    [(status, body)] = page.ask("GET", "/administrator")
    assert (status, body["code"]) == (403, "invalid_claim")
    assert not is_over(page)
    if version in {"16.0.10", "20.1.6"}:
        assert page.events == ["API_INVALID_CLAIM"]
        reason = {"message": "value does not exist", "expectedValue": "admin"}
        assert page.failed_claims == [{"id": "role", "reason": reason}]


def test_a_payload_that_somebody_else_has_changed_arrives_by_the_next_request(page: Page, version: str) -> None:
    page.log_in()
    page.change_payload_elsewhere({"role": "admin"})
    if page.server.settings.revocation_check == "none":
        page.server.clock.advance(360)
    assert page.ask("GET", "/administrator")[0][0] == 200
    if version not in WITHOUT_EVENTS:
        assert page.call("getAccessTokenPayloadSecurely")["role"] == "admin"


def test_tokens_in_headers_do_as_much_as_cookies(in_headers: Page) -> None:
    page = in_headers
    page.log_in()
    assert page.jar == set()
    page.server.clock.advance(360)
    assert [status for status, _ in page.ask("POST", "/me", {}, times=5)] == [200] * 5
    assert page.refreshes == 1
    page.new_tab()
    assert page.ask("GET", "/me")[0][0] == 200
    [(status, _)] = page.ask("GET", "/administrator")
    assert (status, page.events) == (403, ["API_INVALID_CLAIM"])
    page.call("signOut")
    page.switch_tab()
    assert page.call("doesSessionExist") is False
    assert page.ask("GET", "/me")[0][0] == 401


def test_another_services_token_beside_the_cookies_changes_nothing(page: Page) -> None:
    page.log_in()
    for foreign in ("Basic YTpi", "Bearer another-services"):
        assert page.ask("POST", "/me", {}, headers={"Authorization": foreign})[0][0] == 200
