"""A browser's cookie jar: what an answer sets, for how long, and to which paths it goes."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SetCookie:
    """One Set-Cookie header. Every cookie of ours must have the same flags.

    Attributes:
        max_age: Seconds; None for a cookie that ends with the browser.
    """

    name: str
    value: str
    path: str
    max_age: int | None

    @classmethod
    def parse(cls, header: str) -> "SetCookie":
        pair, *rest = header.split("; ")
        name, _, value = pair.partition("=")
        attributes = {key: text for key, _, text in (part.partition("=") for part in rest)}
        assert {"HttpOnly", "Secure"} <= attributes.keys(), header
        assert attributes["SameSite"] == "Lax", header
        age = {"Expires", "Max-Age"} & attributes.keys()
        assert attributes.keys() - age == {"Path", "HttpOnly", "Secure", "SameSite"}, header
        if not age:
            assert value, header
            return cls(name, value, attributes["Path"], None)
        assert age == {"Expires", "Max-Age"}, header
        assert re.fullmatch(r"[0-9]+", attributes["Max-Age"]), header
        assert (value == "") == (attributes["Max-Age"] == "0"), header
        return cls(name, value, attributes["Path"], int(attributes["Max-Age"]))


class Jar:
    """Cookies by name and path."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], tuple[str, float]] = {}

    def keep(self, cookies: Iterable[SetCookie], now: int) -> None:
        """Take an answer's cookies. A life begins when they arrive (RFC 6265, section 5.2.2)."""
        for cookie in cookies:
            key = cookie.name, cookie.path
            if cookie.max_age is None:
                self._cookies[key] = cookie.value, math.inf
            elif cookie.max_age:
                self._cookies[key] = cookie.value, now + cookie.max_age * 1000
            else:
                self._cookies.pop(key, None)

    def sent_to(self, path: str, now: int) -> list[tuple[str, str]]:
        """Names and values for a request to a path, those of longer paths first (RFC 6265, section 5.4)."""
        alive = [(key, value) for key, (value, until) in self._cookies.items() if until > now]
        matching = [(key, value) for key, value in alive if path == key[1] or path.startswith(key[1].rstrip("/") + "/")]
        return [(name, value) for (name, _), value in sorted(matching, key=lambda item: -len(item[0][1]))]

    def find(self, name: str) -> str | None:
        """The value of a cookie of this name, whatever its path and age."""
        return next((value for (known, _), (value, _) in self._cookies.items() if known == name), None)

    def copy(self) -> "Jar":
        other = Jar()
        other._cookies = dict(self._cookies)
        return other
