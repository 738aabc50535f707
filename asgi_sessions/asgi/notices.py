"""What the next page says about the form before: a code and a number in a cookie, which that page reads and clears.

Nobody can write such a notice into a link, as into an address. A page of a subdomain can plant the cookie over plain
http; whatever it plants, the page shows one of the application's own sentences or none.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["LIFETIME", "Notice", "NoticeCookie"]

LIFETIME: Final = 60
"""Seconds for which a notice waits for its page."""

_CODE: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_VALUE: Final = re.compile(rf"({_CODE.pattern})(?:\.([0-9]{{1,9}}))?")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a page is to say.

    Attributes:
        code: Which of the application's notices.
        number: How many of whatever it tells of, None where it tells no number.
    """

    code: str
    number: int | None = None


class _Attributes(TypedDict):
    key: str
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["lax"]


class NoticeCookie:
    """Carries a notice from a redirect to the next page.

    A tab that loads a page at the same moment may show it in its place; without cookies nobody does. Pages that show
    notices are not for caches: send them with ``Cache-Control: no-store``.

    Args:
        codes: The notices that there are: lower-case words with hyphens. No other is shown.
        name: The cookie's name; over https it has the prefix ``__Host-``.

    Raises:
        ValueError: A code is no such word.
    """

    def __init__(self, codes: Collection[str], *, name: str = "notice") -> None:
        for code in codes:
            if not _CODE.fullmatch(code):
                raise ValueError(f"{code!r} is no code of a notice: 1 to 40 lower-case letters, digits and hyphens.")
        self._codes = frozenset(codes)
        self._name = name

    def leave(self, connection: HTTPConnection, response: Response, code: str, number: int | None = None) -> None:
        """Let the next page show this notice, once, within a minute.

        Args:
            connection: The request that is answered.
            response: Its answer, a redirect to that page.
            code: One of the codes.
            number: 0 to 999999999.

        Raises:
            ValueError: It is none of these.
        """
        value = code if number is None else f"{code}.{number}"
        if self._parsed(value) != Notice(code, number):
            raise ValueError(f"{value!r} is none of the notices.")
        response.set_cookie(value=value, max_age=LIFETIME, **self._attributes(connection))

    def read(self, connection: HTTPConnection) -> Notice | None:
        """The notice that waits for this page. None where there is none, and for whatever has no known code."""
        return self._parsed(connection.cookies.get(self._attributes(connection)["key"], ""))

    def clear(self, connection: HTTPConnection, response: Response) -> None:
        """Let no other page show it: for the answer that does. Where no notice came, the answer stays as it is."""
        attributes = self._attributes(connection)
        if attributes["key"] in connection.cookies:
            response.delete_cookie(**attributes)

    def _parsed(self, value: str) -> Notice | None:
        found = _VALUE.fullmatch(value)
        if found is None or found[1] not in self._codes:
            return None
        return Notice(found[1], None if found[2] is None else int(found[2]))

    def _attributes(self, connection: HTTPConnection) -> _Attributes:
        scope: Any = connection.scope
        secure = scope["scheme"] in {"https", "wss"}
        return {
            "key": f"__Host-{self._name}" if secure else self._name,
            "path": "/",
            "secure": secure,
            "httponly": True,
            "samesite": "lax",
        }
