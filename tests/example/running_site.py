"""The example application under a real server, and somebody who visits it as a browser would."""

from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2

from tests.uvicorn_server import UvicornServer

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Site(UvicornServer):
    """The example with these settings; by default on SQLite, with one worker."""

    def __init__(self, folder: Path, port: int | None = None, /, *, workers: int = 1, **environment: str) -> None:
        super().__init__("example_app.main:app", folder, environment, workers=workers, port=port)

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}"


class Visitor:
    """A browser as far as forms and cookies go: it keeps Secure cookies on 127.0.0.1 and says where a form was.

    Attributes:
        cookies: By name.
    """

    def __init__(self, site: Site, user_agent: str = FIREFOX) -> None:
        self.cookies: dict[str, str] = {}
        self._site = site
        self._client = httpx2.Client(base_url=site.url(), headers={"User-Agent": user_agent}, timeout=30)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, form: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        return self.send("POST", path, data=form or {}, **options)

    def submit(self, path: str, form: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        """Send a form of a page that was loaded just before, with the tag of the session that it was shown to."""
        return self.post(path, {**self.form_tag, **(form or {})}, **options)

    @property
    def form_tag(self) -> dict[str, str]:
        """The field by which forms of this session's pages name it; none where nobody is signed in."""
        session = self.get("/auth/session", headers={"X-Background-Request": "1"})
        return {"form_tag": session.json()["form_tag"]} if session.status_code == 200 else {}

    def send(self, method: str, path: str, *, headers: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """One request, with the cookies and headers of a page of this site; redirects are not followed."""
        sent = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        if method != "GET":
            sent = {"Origin": self._site.url(), **sent}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self._client.request(method, path, headers=sent, **options)
        self._client.cookies.clear()
        for header in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.cookies.pop(name, None)
                if morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        return response

    def close(self) -> None:
        self._client.close()

    def sign_up(self, name: str, password: str = "correct horse", **fields: str) -> httpx2.Response:
        return self.post("/sign-up", {"name": name, "password": password, **fields})

    def sign_in(self, name: str, password: str = "correct horse", **fields: str) -> httpx2.Response:
        return self.post("/sign-in", {"name": name, "password": password, **fields})

    @property
    def is_signed_in(self) -> bool:
        return self.get("/").status_code == 200
