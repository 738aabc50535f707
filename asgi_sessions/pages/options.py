"""What an application says about its pages."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypedDict

from jinja2 import BaseLoader
from starlette.requests import Request

from asgi_sessions.asgi.required_authentication import RequiredAuthentication
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.origin import split_origin

__all__ = ["AdministratorsOptions", "Configuration", "Link", "PagesOptions", "SecurityNotice", "links_of"]

Link: TypeAlias = tuple[str, str]
"""A text and a URL."""
Address: TypeAlias = str | Callable[[Request], str]
"""A URL, or a plain function of the request that returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityNotice:
    """Something about the user's account that the application knows, shown on top of the devices.

    Attributes:
        text: A sentence, in the user's language; it is escaped.
        at: When it happened, aware; None for no time.
        url: Where to read or do more, a path or a URL of http or https; None for no link.
        url_text: The link's text.
    """

    text: str
    at: datetime | None = None
    url: str | None = None
    url_text: str | None = None

    def __post_init__(self) -> None:
        _check_address(self.url, "url")


class AdministratorsOptions(TypedDict, total=False):
    """The arguments of `administrators_router` and `administrators_routes` besides ``permission``. All are optional.

    Functions of the application may be async or plain, except where a plain one is asked for. One that raises, or takes
    longer than a second, counts as one that knows nothing; the log says so.
    """

    brand: str
    """The application's name, in the head of each page."""
    home_url: Address
    """Where the brand leads."""
    sign_in_url: Address
    """Where somebody is sent who is not signed in; gets ``?next=``. Without it `Unauthorised` is raised."""
    reauthenticate_url: Address
    """Where the user confirms the login if `max_auth_age` asks for it; gets ``?next=``."""
    account_links: Sequence[Link] | Callable[[Session[Any, Any]], Any]
    """More links in the head: texts and URLs; or a function of the session that returns them, async or plain."""
    user_name: Callable[[Session[Any, Any]], Any]
    """Names the user in the head, given the session; async or plain."""
    place: Callable[[str], Any]
    """Names the place of an IP address, such as "Berlin, Germany"; None where it is unknown. Async or plain."""
    language: Callable[[Request], Any]
    """The user's language, such as "de"; None to choose by Accept-Language. Async or plain."""
    translations: str | os.PathLike[str]
    """A folder with the application's own catalogues: ``de/LC_MESSAGES/asgi_sessions.po`` (or ``.mo``)."""
    templates: str | os.PathLike[str] | BaseLoader
    """A folder, or a loader of Jinja, whose templates replace those of the same name."""
    stylesheet: str
    """The URL of a style sheet that follows the package's own."""


class PagesOptions(AdministratorsOptions, total=False):
    """The arguments of `pages_router` and `pages_routes`. All are optional; see also `AdministratorsOptions`."""

    change_password_url: Address
    """Offered beside devices that the user may not know."""
    notices: Callable[[Session[Any, Any]], Any]
    """What the application knows of the account's safety, given the session: `SecurityNotice` objects. Either kind."""
    max_auth_age: timedelta | float
    """How long ago the login may be for ending other sessions, `timedelta` or seconds."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The checked options; see `PagesOptions`."""

    brand: str | None = None
    home_url: Address | None = None
    sign_in_url: Address | None = None
    reauthenticate_url: Address | None = None
    change_password_url: Address | None = None
    account_links: tuple[Link, ...] | Callable[[Session[Any, Any]], Any] = ()
    user_name: Callable[[Session[Any, Any]], Any] | None = None
    place: Callable[[str], Any] | None = None
    notices: Callable[[Session[Any, Any]], Any] | None = None
    language: Callable[[Request], Any] | None = None
    translations: str | os.PathLike[str] | None = None
    templates: str | os.PathLike[str] | BaseLoader | None = None
    stylesheet: str | None = None
    recent: RequiredAuthentication | None = None

    @classmethod
    def of(cls, options: AdministratorsOptions, known: type[AdministratorsOptions] = PagesOptions) -> "Configuration":
        """Check them.

        Args:
            options: As given.
            known: Which there are.

        Raises:
            TypeError, ValueError: One is wrong, or unknown; the text names it.
        """
        given: dict[str, Any] = dict(options)
        if unknown := given.keys() - known.__annotations__.keys():
            raise TypeError(f"pages: there is no option {', '.join(sorted(unknown))}")
        recent = RequiredAuthentication.of(
            max_auth_age=given.pop("max_auth_age", None), methods=None, level=None, within=None, allow_actor=None
        )
        for name in ("brand", "stylesheet"):
            if not isinstance(given.get(name), str | None):
                raise TypeError(f"{name} must be str, not {type(given[name]).__name__}")
        for name in ("home_url", "sign_in_url", "reauthenticate_url", "change_password_url"):
            _check_address(given.get(name), name)
        for name in ("user_name", "place", "notices", "language"):
            if not (given.get(name) is None or callable(given[name])):
                raise TypeError(f"{name} must be a function, not {type(given[name]).__name__}")
        links = given.pop("account_links", ())
        return cls(account_links=links if callable(links) else links_of(links), recent=recent, **given)

    @property
    def style_origin(self) -> str:
        """The origin of the application's style sheet, where that is not the pages' own."""
        return _origin(self.stylesheet)

    @property
    def form_origin(self) -> str:
        """The origin that a form's answer may lead to, where that is not the pages' own: after logging out here."""
        return _origin(self.sign_in_url) if isinstance(self.sign_in_url, str) else ""


def links_of(value: Any) -> tuple[Link, ...]:
    """The links of the head.

    Raises:
        TypeError: It is something else.
    """
    try:
        links = tuple((text, url) for text, url in value)
    except (TypeError, ValueError):
        links = (("", None),)
    if not all(isinstance(text, str) and isinstance(url, str) for text, url in links):
        raise TypeError("account_links must be pairs of a text and a URL")
    return links


def _check_address(value: Any, name: str) -> None:
    if value is None or callable(value):
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a URL or a function of the request, not {type(value).__name__}")
    scheme, colon, _ = value.partition(":")
    if colon and "/" not in scheme and scheme not in {"http", "https"}:
        raise ValueError(f"{name} must be a path, or a URL of http or https")


def _origin(url: str | None) -> str:
    if url is None or not url.startswith(("http://", "https://")):
        return ""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    found = split_origin(f"{scheme}://{host}")
    if found is None:
        raise ValueError(f"pages: {url!r} is no URL")
    return f"{scheme}://{host}"
