"""A page in Chromium with the unmodified `supertokens-website`, for supertokens_client.py."""

import json
from typing import Any

from selenium.webdriver import Chrome

from tests.reference.http_app import Server
from tests.reference.profiles import ACCESS, ID, REFRESH

LOAD = """
window.global = window;
window.process = {env: {}};
window.events = [];
window.refreshes = 0;
window.claims = null;
const [sources, old, transfer] = arguments, loaded = {};
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
const onHandleEvent = event => {
  events.push([event.action, event.sessionExpiredOrRevoked].join(" ").trim());
  claims = event.claimValidationErrors;
};
client.init(old ? {refreshTokenUrl: location.origin + "/auth/session/refresh"}
                : {apiDomain: location.origin, apiBasePath: "/auth", onHandleEvent, tokenTransferMethod: transfer});
"""
ASK = """
const [method, path, body, times, more, done] = arguments;
events.length = 0;
window.refreshes = 0;
const headers = {"Content-Type": "application/json", ...more};
const one = () => fetch(location.origin + path, {method, headers, body}).then(answer => answer.text().then(
  text => [answer.status, text]));
Promise.all(Array.from({length: times}, one)).then(answers => done([answers, events.slice(), refreshes]));
"""
CALL = """
const [name, done] = arguments;
events.length = 0;
Promise.resolve(client[name]()).then(value => done([value === undefined ? null : value, events.slice()]));
"""


class Page:
    """A page with the client, and one session of alice's after `log_in`.

    Attributes:
        server: What it asks.
        events: What the client has told the page during the last call.
        refreshes: How often it has asked for new tokens meanwhile.
    """

    def __init__(
        self, browser: Chrome, server: Server, sources: dict[str, str], *, old: bool = False, transfer: str = "cookie"
    ) -> None:
        self._browser = browser
        self._loading = sources, old, transfer
        self.server = server
        self.events: list[str] = []
        self.refreshes = 0
        self.load()

    def load(self) -> None:
        self._browser.get(self.server.url.replace("127.0.0.1", "localhost") + "/openapi.json")
        self._browser.execute_script(LOAD, *self._loading)

    def new_tab(self) -> None:
        """A second page with the client, in front."""
        self._browser.switch_to.new_window("tab")
        self.load()

    def switch_tab(self) -> None:
        """To the other one of two."""
        (other,) = {*self._browser.window_handles} - {self._browser.current_window_handle}
        self._browser.switch_to.window(other)

    def ask(
        self, method: str, path: str, body: Any = None, *, times: int = 1, headers: dict[str, str] | None = None
    ) -> list[tuple[int, Any]]:
        text = None if body is None else json.dumps(body)
        given = method, path, text, times, headers or {}
        answers, self.events, self.refreshes = self._browser.execute_async_script(ASK, *given)
        return [(status, json.loads(content)) for status, content in answers]

    @property
    def failed_claims(self) -> Any:
        """What the client has told of them."""
        return self._browser.execute_script("return claims")

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

    def change_payload_elsewhere(self, payload: Any) -> None:
        """Another part of the application does it, by the session's handle."""
        given = {"handle": self._handle, "payload": payload}
        assert self.server.browser().post("/administration/payload", given).status == 200

    def forget(self, name: str, path: str) -> None:
        self._browser.execute_cdp_cmd("Network.deleteCookies", {"name": name, "domain": "localhost", "path": path})

    @property
    def jar(self) -> set[str]:
        """The names of the server's cookies."""
        found = self._browser.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
        return {cookie["name"] for cookie in found} & {ACCESS, REFRESH, ID}
