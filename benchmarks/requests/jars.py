"""Credentials: the cookies that a client holds, and who it is by them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

HEADERS = (
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
)
"""What a browser sends with each request, besides its cookies."""


@dataclass(slots=True)
class Jar:
    """One client's cookies.

    Attributes:
        user: What ``/me`` must answer.
        cookies: By name.
    """

    user: str = "42"
    cookies: dict[str, str] = field(default_factory=dict)

    def take(self, set_cookies: Iterable[str]) -> None:
        """Keep what an answer sets, and drop what it clears."""
        for header in set_cookies:
            pair, *attributes = header.split(";")
            name, _, value = pair.partition("=")
            if any(attribute.strip().lower() == "max-age=0" for attribute in attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    @property
    def header(self) -> str | None:
        """The Cookie header, None without cookies."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None

    def as_json(self) -> dict[str, Any]:
        return {"user": self.user, "cookies": self.cookies}


class WrongAnswer(Exception):
    """An answer was not the one that is measured; the run is worth nothing."""


def check(
    path: str, jar: Jar, status: int, body: bytes, *, sets_cookies: bool, bare: bool, may_set_cookies: bool | None
) -> None:
    """Look at an answer.

    Raises:
        WrongAnswer: It has another status or body than is right, or sets cookies where it must not or none where it
            must.
    """
    expected = {"/public": "public", "/perhaps": "nobody"}.get(path, "42" if bare else jar.user)
    if status != 200 or body != expected.encode():
        raise WrongAnswer(f"GET {path}: {status} {body[:200]!r} instead of {expected!r}")
    if not bare and may_set_cookies is not None and sets_cookies != may_set_cookies:
        raise WrongAnswer(f"GET {path}: {'a' if sets_cookies else 'no'} cookie was set")
