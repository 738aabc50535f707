"""The unmodified `supertokens-website`, a version of each of its wires, in Chromium against a real server.

Needs npm, which fetches them, and is no part of `make test` for that: ``make supertokens-client``.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from asgi_sessions import SessionSettings
from asgi_sessions.testing import MovableClock
from tests.reference.http_app import Server
from tests.reference.profiles import ACCESS, ID, REFERENCE, REFRESH, REFRESH_PATH

VERSIONS = ("4.2.0", "5.0.1", "10.0.10", "16.0.10", "20.1.6")
WITHOUT_EVENTS = ("4.2.0", "5.0.1")
"""They tell the page nothing, and have no sign-out of their own."""
ENDED = "UNAUTHORISED true"
"""The event that says that there was a session."""

LOAD = """
window.global = window;
window.process = {env: {}};
window.events = [];
window.refreshes = 0;
const [sources, old] = arguments, loaded = {};
function load(path) {
  if (!(path in loaded)) {
    const module = loaded[path] = {exports: {}};
    const find = name => {
      const wanted = name.startsWith(".") ? new URL(name, "file:///" + path).pathname.slice(1) : name;
      return load([wanted, wanted + ".js", wanted + "/index.js"].find(one => one in sources));
    };
    new Function("module", "exports", "require", sources[path])(module, module.exports, find);
  }
  return loaded[path].exports;
}
const send = window.fetch.bind(window);
window.fetch = (url, ...more) => {
  refreshes += url.toString().endsWith("/auth/session/refresh");
  return send(url, ...more);
};
const exported = load("supertokens-website");
window.client = exported.default || exported;
const onHandleEvent = event => events.push([event.action, event.sessionExpiredOrRevoked].join(" ").trim());
client.init(old ? {refreshTokenUrl: location.origin + "/auth/session/refresh"}
                : {apiDomain: location.origin, apiBasePath: "/auth", onHandleEvent});
"""
ASK = """
const [method, path, body, times, done] = arguments;
events.length = 0;
window.refreshes = 0;
const headers = {"Content-Type": "application/json"};
const one = () => fetch(location.origin + path, {method, headers, body}).then(answer => answer.text().then(
  text => [answer.status, text]));
Promise.all(Array.from({length: times}, one)).then(answers => done([answers, events.slice(), refreshes]));
"""
CALL = """
const [name, done] = arguments;
events.length = 0;
Promise.resolve(client[name]()).then(value => done([value === undefined ? null : value, events.slice()]));
"""


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


class _Page:
    """A page with the client, and one session of alice's after `log_in`.

    Attributes:
        server: What it asks.
        events: What the client has told the page during the last call.
        refreshes: How often it has asked for new tokens meanwhile.
    """

    def __init__(self, browser: Chrome, server: Server, sources: dict[str, str], *, old: bool) -> None:
        self._browser = browser
        self.server = server
        self.events: list[str] = []
        self.refreshes = 0
        browser.get(server.url.replace("127.0.0.1", "localhost") + "/openapi.json")
        browser.execute_script(LOAD, sources, old)

    def ask(self, method: str, path: str, body: Any = None, *, times: int = 1) -> list[tuple[int, Any]]:
        text = None if body is None else json.dumps(body)
        answers, self.events, self.refreshes = self._browser.execute_async_script(ASK, method, path, text, times)
        return [(status, json.loads(content)) for status, content in answers]

    def call(self, name: str) -> Any:
        value, self.events = self._browser.execute_async_script(CALL, name)
        return value

    def log_in(self) -> None:
        [(status, body)] = self.ask("POST", "/login", {"user_id": "alice"})
        assert status == 200
        assert self.call("doesSessionExist")
        self._handle = body["handle"]

    def log_out_elsewhere(self) -> None:
        assert self.server.browser().post("/administration/revoke", {"handle": self._handle}).body == {"revoked": True}

    def forget(self, name: str, path: str) -> None:
        self._browser.execute_cdp_cmd("Network.deleteCookies", {"name": name, "domain": "localhost", "path": path})

    @property
    def jar(self) -> set[str]:
        """The names of the server's cookies."""
        found = self._browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
        return {cookie["name"] for cookie in found} & {ACCESS, REFRESH, ID}


@pytest.fixture(params=["database", "none"])
def page(
    request: pytest.FixtureRequest,
    version: str,
    sources: dict[str, str],
    tmp_path: Path,
    new_browser: Callable[..., Chrome],
) -> Iterator[_Page]:
    given = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}", "revocation_check": request.param}
    server = Server(SessionSettings(**{**REFERENCE.values, **given}), MovableClock())
    yield _Page(new_browser(), server, sources, old=version == "4.2.0")
    server.close()


def is_over(page: _Page) -> bool:
    return page.jar == set() and page.call("doesSessionExist") is False


def test_one_refresh_serves_all_that_found_the_access_token_expired(page: _Page, version: str) -> None:
    page.log_in()
    page.server.clock.advance(360)
    assert [status for status, _ in page.ask("GET", "/me", times=5)] == [200] * 5
    assert page.refreshes == 1
    assert ("REFRESH_SESSION" in page.events) == (version not in WITHOUT_EVENTS)
    [(status, _)] = page.ask("POST", "/me", {})  # with the new anti-csrf token
    assert (status, page.refreshes) == (200, 0)


def test_a_changed_payload_arrives(page: _Page, version: str) -> None:
    page.log_in()
    [(status, _)] = page.ask("PUT", "/payload", {"payload": {"role": "editor"}})
    assert status == 200
    if version != "4.2.0":  # which cannot be asked
        read = "getJWTPayloadSecurely" if version in WITHOUT_EVENTS else "getAccessTokenPayloadSecurely"
        assert page.call(read)["role"] == "editor"


def test_a_logout_empties_the_jar_and_is_told_once(page: _Page, version: str) -> None:
    page.log_in()
    [(status, _)] = page.ask("POST", "/logout", {})
    assert (status, page.events) == (200, [] if version in WITHOUT_EVENTS else ["SIGN_OUT"])
    assert is_over(page)


def test_the_clients_own_sign_out_does_too(page: _Page, version: str) -> None:
    if version not in WITHOUT_EVENTS:
        page.log_in()
        page.call("signOut")
        assert page.events == ["SIGN_OUT"]
        assert is_over(page)


def test_a_session_that_has_ended_is_told_once_when_its_access_token_has_expired(page: _Page, version: str) -> None:
    page.log_in()
    page.log_out_elsewhere()
    page.server.clock.advance(360)
    [(status, _)] = page.ask("GET", "/me")
    assert (status, page.events) == (401, [] if version in WITHOUT_EVENTS else [ENDED])
    assert is_over(page)


def test_before_that_the_client_says_besides_that_nobody_is_logged_in(page: _Page, version: str) -> None:
    page.log_in()
    page.log_out_elsewhere()
    [(status, _)] = page.ask("GET", "/me")
    if page.server.settings.revocation_check == "none":
        assert status == 200
    else:
        assert status == 401
        assert page.events == ([] if version in WITHOUT_EVENTS else [ENDED, "UNAUTHORISED false"])
        assert is_over(page)


def test_lost_cookies_are_told_once(page: _Page, version: str) -> None:
    page.log_in()
    for name, path in ((ACCESS, "/"), (ID, "/"), (REFRESH, REFRESH_PATH)):
        page.forget(name, path)
    assert page.jar == set()
    [(status, _)] = page.ask("GET", "/me")
    assert (status, page.events) == (401, [] if version in WITHOUT_EVENTS else [ENDED])
    assert is_over(page)


def test_a_visitor_has_lost_no_session(page: _Page) -> None:
    [(status, _)] = page.ask("GET", "/me")
    assert status == 401
    assert ENDED not in page.events
    assert is_over(page)
