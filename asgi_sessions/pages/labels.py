"""What a device is called, from what its browser says of itself: kept at login, taken apart where it is shown.

A label reads ``Chrome 142 on Windows 11`` or ``Safari 18 on iPhone, iOS 18.5``. Nothing of it can be trusted: it is
text, and no more. Its words are cut to plain characters, and pages escape it all the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from asgi_sessions.protocol import device

__all__ = ["KINDS", "device_label", "kind_of", "title_of", "versions_of"]

KINDS: Final = ("phone", "tablet", "desktop", "tv", "script", "unknown")
"""What there is an icon for."""

# Real headers are shorter. The parser tries hundreds of patterns, which takes a millisecond for a real header, and
# with this limit at most a few for anything else.
_LONGEST: Final = 400

_LONGEST_MODEL: Final = 40

_BRAND = re.compile(r'"([^"]{1,40})"\s*;\s*v="(\d{1,5})')
_NOT_PLAIN = re.compile(r"[^\w .+()/-]", re.ASCII)
_NO_BRANDS: Final = frozenset({"Chromium", "Google Chrome"})
_BRANDS: Final = {"Microsoft Edge": "Edge", "HeadlessChrome": "Headless Chrome", "Opera GX": "Opera GX"}
_BROWSERS: Final = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Go-http-client": "Go",
    "HeadlessChrome": "Headless Chrome",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "okhttp": "OkHttp",
    "Opera Mobile": "Opera",
    "PostmanRuntime": "Postman",
    "Python Requests": "Python (requests)",
}
_SYSTEMS: Final = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Web0S": "webOS"}
_FROZEN: Final = frozenset({"Windows", "macOS", "ChromeOS", "Linux"})
"""Systems whose version browsers no longer say in the User-Agent: what stands there is the same for all."""
_TELEVISIONS = re.compile(r"\b(?:Smart-?TV|TV|BRAVIA|AFT\w+|CrKey|Roku|Web0S)\b", re.ASCII | re.IGNORECASE)
_CONSOLES = re.compile(r"\b(?:PlayStation(?: \d)?|Xbox|Nintendo(?: Switch)?)", re.ASCII)

_KINDS: Final = (
    ("script", re.compile(r"\b(?:Headless|\w*bot|Spider)\b", re.IGNORECASE)),
    ("tv", re.compile(r"\b(?:TV|PlayStation|Xbox|Nintendo|webOS|Tizen)\b")),
    ("tablet", re.compile(r"\b(?:iPad|tablet|Kindle)\b")),
    ("phone", re.compile(r"\b(?:iPhone|iPod|Android|phone|HarmonyOS|KaiOS)\b")),
    ("desktop", re.compile(r"\b(?:Windows|macOS|Linux|ChromeOS|Ubuntu|Fedora|Debian|FreeBSD|OpenBSD)\b")),
    ("script", re.compile(r"\A(?:curl|Wget|HTTPie|Postman|Python|OkHttp|Go|Dart|Node\.js|Java|Ruby|aiohttp)\b")),
)

_BROWSER_VERSION = re.compile(r"(?<=[\w)]) \d+(?:\.\d+)*\Z")
_SYSTEM_VERSION = re.compile(r", (?P<of_device>\w+ [\d.]+)\Z|(?P<of_system>\A(?:Windows|Android)) \d+\Z")


def device_label(headers: Mapping[str, str]) -> str | None:
    """Name the device of a request, for `SessionManager.label_devices`: ``sessions.label_devices(device_label)``.

    It reads the User-Agent, by ua-parser, and the client hints that browsers send by themselves: those tell Brave from
    Chrome. With ``Accept-CH: Sec-CH-UA-Model, Sec-CH-UA-Platform-Version`` on the page for signing in, Chromium also
    names the phone's model, and Windows 11.

    Args:
        headers: The request's, looked up in lower case.

    Returns:
        For example ``Brave 142 on Windows 11``; None for what is unknown, so that the library's own label counts.
    """
    agent = headers.get("user-agent", "")[:_LONGEST]
    from ua_parser import parse  # noqa: PLC0415 - a tenth of a second, and only where somebody logs in

    try:
        found = parse(agent)
    except ValueError:  # of what looks like an Android device without a name
        return None
    hints = _Hints(headers)
    browser = hints.browser or _browser(found)
    if browser is None:
        return None
    system = _system(agent, found, hints)
    return device.one_line(browser if system is None else f"{browser} on {system}") or None


def title_of(label: str) -> str:
    """A label without the versions: what stays the same when a browser updates itself."""
    browser, on, system = label.partition(" on ")
    return _BROWSER_VERSION.sub("", browser) + on + _SYSTEM_VERSION.sub(r"\g<of_system>", system)


def versions_of(label: str) -> list[str]:
    """What the title leaves out: ``["Safari 18", "iOS 18.5"]``."""
    browser, _, system = label.partition(" on ")
    found = [browser] if _BROWSER_VERSION.search(browser) else []
    if version := _SYSTEM_VERSION.search(system):
        found.append(version["of_device"] or system)
    return found


def kind_of(label: str) -> str:
    """One of `KINDS`."""
    return next((kind for kind, words in _KINDS if words.search(label)), "unknown")


class _Hints:
    """What the headers ``Sec-CH-UA-…`` say."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self.browser = self._browser()
        self.is_mobile = headers.get("sec-ch-ua-mobile")
        self.model = self._text("sec-ch-ua-model")
        self.platform = self._text("sec-ch-ua-platform")

    def _text(self, name: str) -> str:
        return _plain(self._headers.get(name, "")[:_LONGEST].strip().strip('"'))

    def _browser(self) -> str | None:
        """The brand that is not Chromium's own, and not the made-up one that keeps lists of brands open."""
        brands = dict(_BRAND.findall(self._headers.get("sec-ch-ua", "")[:_LONGEST]))
        own = [(name, version) for name, version in brands.items() if not _is_grease(name) and name not in _NO_BRANDS]
        for name, version in own:
            return f"{_BRANDS.get(name, _plain(name))} {version}"
        return None

    @property
    def windows(self) -> str | None:
        """10 or 11, by the number that Chromium gives."""
        major = self._text("sec-ch-ua-platform-version").partition(".")[0]
        if self.platform != "Windows" or not major.isdigit() or len(major) > 3 or major == "0":
            return None
        return "11" if int(major) >= 13 else "10"


def _is_grease(brand: str) -> bool:
    return "Not" in re.findall("[A-Za-z]+", brand)


def _browser(found: Any) -> str | None:
    if found.user_agent is None or found.user_agent.family == "Other":
        return None
    family = _plain(_BROWSERS.get(found.user_agent.family, found.user_agent.family))
    major = found.user_agent.major
    return f"{family} {major}" if major and major.isdigit() else family


def _system(agent: str, found: Any, hints: _Hints) -> str | None:
    """The device or the operating system, with its version where the browser tells the true one."""
    consoles: list[str] = _CONSOLES.findall(agent)
    if consoles:
        return max(consoles, key=len)
    name = None if found.os is None else _SYSTEMS.get(found.os.family, found.os.family)
    if _TELEVISIONS.search(agent):
        return _plain(" ".join(word for word in (name, "TV") if word))
    if name in {"iOS", "iPadOS"}:
        is_tablet = found.device is not None and found.device.family == "iPad"
        return f"iPad, iPadOS {_version(found.os)}" if is_tablet else f"iPhone, iOS {_version(found.os)}"
    if name == "Android":
        return _android(found, hints)
    if name == "Windows" and hints.windows:
        return f"Windows {hints.windows}"
    if name is None or name in _FROZEN:
        return name
    return _plain(name)


def _android(found: Any, hints: _Hints) -> str:
    """The model where the browser tells it; the version of Android, unless it is the one that Chromium says for all."""
    device_found = found.device
    model = hints.model or (device_found.model if device_found is not None else None) or "K"
    is_named = model not in {"K", "Smartphone", "Tablet"}
    name = _plain(model) if is_named else "Android"
    if is_named and device_found is not None and device_found.brand == "Samsung":
        name = f"Samsung {name}"
    if hints.is_mobile == "?0" or (hints.is_mobile is None and "Mobile" not in found.string):
        name = f"{name} tablet"
    version = _version(found.os).partition(".")[0]
    if model == "K" or not version:
        return name[:_LONGEST_MODEL]
    return f"Android {version}" if name == "Android" else f"{name[:_LONGEST_MODEL]}, Android {version}"


def _version(system: Any) -> str:
    return _plain(".".join(part for part in (system.major, system.minor) if part))


def _plain(text: str) -> str:
    return _NOT_PLAIN.sub("", text)
