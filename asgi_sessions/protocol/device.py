"""A word for the device in the user's list of sessions, as far as its User-Agent header tells the truth."""

from typing import Final

__all__ = ["LONGEST_LABEL", "UNKNOWN", "label", "one_line"]

UNKNOWN: Final = "Unknown device"
LONGEST_LABEL: Final = 100
"""Characters."""

# Real headers are shorter; nobody shall make us search a megabyte.
_LONGEST: Final = 1000

# First match counts: nearly every browser also claims to be those further down.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_PROGRAMS: Final = (
    ("curl/", "curl"),
    ("wget/", "Wget"),
    ("httpie/", "HTTPie"),
    ("postmanruntime/", "Postman"),
    ("python-httpx", "Python (httpx)"),
    ("python-requests/", "Python (requests)"),
    ("python-urllib", "Python (urllib)"),
    ("python/", "Python"),
    ("okhttp/", "OkHttp"),
    ("go-http-client/", "Go"),
    ("dart/", "Dart"),
    ("node", "Node.js"),
)


def label(user_agent: str | None) -> str:
    """A short name such as "Chrome on Android", "Safari on iPhone" or "curl".

    It only ever consists of words from this file, so that a header cannot put text of its own into the list.

    Args:
        user_agent: The request's User-Agent header, None where there is none.

    Returns:
        At most 100 printable ASCII characters; ``UNKNOWN`` if the header names no known device.
    """
    if not isinstance(user_agent, str):
        return UNKNOWN
    text = user_agent[:_LONGEST].strip()
    lowered = text.lower()
    for mark, name in _PROGRAMS:
        if lowered.startswith(mark):
            return "Python (aiohttp)" if name == "Python" and "aiohttp/" in lowered else name
    browser = _first(text, _BROWSERS)
    system = _first(text, _SYSTEMS)
    if browser is None:
        return UNKNOWN
    return browser if system is None else f"{browser} on {system}"


def one_line(text: str) -> str:
    """A text of anybody's as a label: printable, without control characters, and no longer than a label can be."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:_LONGEST]).split())[:LONGEST_LABEL].rstrip()


def _first(text: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((name for mark, name in table if mark in text), None)
