"""A client with a real cookie jar, that looks at every header as it came over the wire."""

import copy
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One ``Set-Cookie`` line; attributes by their names in lower case, None where they have no value."""

    name: str
    value: str
    attributes: Mapping[str, str | None]

    @classmethod
    def parse(cls, line: str) -> "SetCookie":
        pair, *rest = line.split("; ")
        name, _, value = pair.partition("=")
        attributes: dict[str, str | None] = {}
        for part in rest:
            key, equals, text = part.partition("=")
            assert key.lower() not in attributes, line
            attributes[key.lower()] = text if equals else None
        return cls(name, value, attributes)

    @property
    def clears(self) -> bool:
        attributes = self.attributes
        return (self.value, attributes["expires"], attributes["max-age"]) == ("", "Thu, 01 Jan 1970 00:00:00 GMT", "0")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, every header of it."""

    status: int
    headers: list[tuple[str, str]]
    body: Any

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    @property
    def code(self) -> Any:
        return self.body.get("code")

    @property
    def set_cookies(self) -> list[SetCookie]:
        return [SetCookie.parse(line) for line in self.all("set-cookie")]

    @property
    def exposed(self) -> list[str]:
        """The names in ``Access-Control-Expose-Headers``, of which there is at most one."""
        return [name.strip() for name in self["access-control-expose-headers"].split(",")]


class Browser:
    """A jar and an ``anti-csrf`` header, kept and sent as the reference's own client does.

    Secure cookies go to 127.0.0.1 over http, as they do in Chromium.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.anti_csrf: str | None = None
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))

    def copy(self, url: str | None = None) -> "Browser":
        """The same cookies in another jar: what a thief has, or the same client before an answer arrived."""
        twin = Browser(url or self.url)
        for cookie in self._jar:
            twin._jar.set_cookie(copy.copy(cookie))
        twin.anti_csrf = self.anti_csrf
        return twin

    @property
    def cookies(self) -> dict[str, str | None]:
        return {cookie.name: cookie.value for cookie in self._jar}

    def forget(self, name: str) -> None:
        for cookie in [cookie for cookie in self._jar if cookie.name == name]:
            self._jar.clear(cookie.domain, cookie.path, cookie.name)

    def replace(self, name: str, value: str) -> None:
        for cookie in self._jar:
            if cookie.name == name:
                cookie.value = value

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        anti_csrf: bool = True,
    ) -> Answer:
        """Send a request.

        Args:
            method: As in HTTP.
            path: Behind the server's address.
            body: Sent as JSON.
            headers: More of them.
            anti_csrf: False leaves the header out.
        """
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if anti_csrf and self.anti_csrf is not None:
            request.add_header("anti-csrf", self.anti_csrf)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            response = self._opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read()
            body = json.loads(text) if text.startswith((b"{", b"[")) else None
            answer = Answer(response.status, response.headers.items(), body)
        if "anti-csrf" in answer:
            self.anti_csrf = answer["anti-csrf"]
        return answer

    def get(self, path: str = "/me", **more: Any) -> Answer:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.request("POST", path, body, **more)
