"""What devices are called: by real headers, by headers that somebody has made up, and in every part of a label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions import SessionManager
from asgi_sessions.pages.labels import KINDS, device_label, kind_of, title_of
from asgi_sessions.protocol import device
from tests.pages.conftest import NewBrowser
from tests.pages.site import CHROME, FIREFOX, IPHONE, texts

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
MOBILE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

REAL = {
    FIREFOX: ("Firefox 140 on Linux", "Firefox on Linux", "desktop"),
    CHROME: ("Chrome 142 on Windows", "Chrome on Windows", "desktop"),
    IPHONE: ("Safari 18 on iPhone, iOS 18.5", "Safari on iPhone", "phone"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "Firefox 140 on Ubuntu",
        "Firefox on Ubuntu",
        "desktop",
    ),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {MOBILE} Version/17.5 Safari/605.1.15": (
        "Safari 17 on macOS",
        "Safari on macOS",
        "desktop",
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0": (
        "Edge 126 on Windows",
        "Edge on Windows",
        "desktop",
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 OPR/111.0.0.0": (
        "Opera 111 on Windows",
        "Opera on Windows",
        "desktop",
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome 126 on ChromeOS",
        "Chrome on ChromeOS",
        "desktop",
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36": (
        "Chrome 126 on Android",
        "Chrome on Android",
        "phone",
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome 126 on Android tablet",
        "Chrome on Android tablet",
        "tablet",
    ),
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/126.0.6478.71 Mobile Safari/537.36": (
        "Chrome 126 on Pixel 8, Android 14",
        "Chrome on Pixel 8",
        "phone",
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-X906B) {WEBKIT} SamsungBrowser/23.0 Chrome/115.0.0.0 Safari/537.36": (
        "Samsung Internet 23 on Samsung SM-X906B tablet, Android 13",
        "Samsung Internet on Samsung SM-X906B tablet",
        "tablet",
    ),
    "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0": (
        "Firefox 127 on Android 14",
        "Firefox on Android",
        "phone",
    ),
    f"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) {MOBILE} CriOS/126.0 Mobile/15E148 Safari/604.1": (
        "Chrome 126 on iPad, iPadOS 17.5",
        "Chrome on iPad",
        "tablet",
    ),
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {MOBILE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15": (
        "Firefox 127 on iPhone, iOS 17.5",
        "Firefox on iPhone",
        "phone",
    ),
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/142.0.0.0 Safari/537.36": (
        "Headless Chrome 142 on Linux",
        "Headless Chrome on Linux",
        "script",
    ),
    f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) {WEBKIT} 94.0.4606.31/7.0 TV Safari/537.36": (
        "Safari on Tizen TV",
        "Safari on Tizen TV",
        "tv",
    ),
    f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/94.0.4606.128 Safari/537.36 WebAppManager": (
        "Chrome 94 on webOS TV",
        "Chrome on webOS TV",
        "tv",
    ),
    f"Mozilla/5.0 (Linux; Android 12; BRAVIA 4K UR2) {WEBKIT} Chrome/120.0.0.0 Safari/537.36": (
        "Chrome 120 on Android TV",
        "Chrome on Android TV",
        "tv",
    ),
    f"Mozilla/5.0 (PlayStation; PlayStation 5/2.26) {MOBILE} Version/13.0 Safari/605.1.15": (
        "Safari 13 on PlayStation 5",
        "Safari on PlayStation 5",
        "tv",
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) {WEBKIT} Chrome/48.0 Safari/537.36 Edge/20.02": (
        "Edge 20 on Xbox",
        "Edge on Xbox",
        "tv",
    ),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": (
        "Googlebot 2",
        "Googlebot",
        "script",
    ),
    "curl/8.5.0": ("curl 8", "curl", "script"),
    "python-requests/2.32.0": ("Python (requests) 2", "Python (requests)", "script"),
    "Go-http-client/1.1": ("Go 1", "Go", "script"),
    "okhttp/4.12.0": ("OkHttp 4", "OkHttp", "script"),
}


@pytest.mark.parametrize(("agent", "expected"), REAL.items(), ids=[label for label, _, _ in REAL.values()])
def test_real_browsers(agent: str, expected: tuple[str, str, str]) -> None:
    label = device_label({"user-agent": agent})
    assert label is not None
    assert (label, title_of(label), kind_of(label)) == expected


@pytest.mark.parametrize("agent", ["", "MyApp/1.0", "Mozilla/5.0", "<script>alert(1)</script>/1", "node", "\x00" * 50])
def test_what_nobody_knows_is_left_to_the_library(agent: str) -> None:
    assert device_label({"user-agent": agent}) is None


def test_the_library_knows_programs_that_the_parser_does_not() -> None:
    for agent, kind in (("python-httpx/0.27", "script"), ("node", "script"), ("Dart/3.4", "script"), ("", "unknown")):
        assert kind_of(device.label(agent)) == kind


HINTS = {
    '"Brave";v="142", "Chromium";v="142", "Not A(Brand";v="24"': "Brave 142",
    '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"': "Chrome 142",
    '"Microsoft Edge";v="126", "Chromium";v="126", "Not/A)Brand";v="8"': "Edge 126",
    '"HeadlessChrome";v="142", "Chromium";v="142"': "Headless Chrome 142",
    '"<script>";v="1", "Chromium";v="142"': "script 1",
    '"Not(A:Brand";v="8"': "Chrome 142",
    "nonsense": "Chrome 142",
}


@pytest.mark.parametrize(("brands", "browser"), HINTS.items())
def test_client_hints_tell_apart_what_the_user_agent_does_not(brands: str, browser: str) -> None:
    label = device_label({"user-agent": CHROME, "sec-ch-ua": brands, "sec-ch-ua-platform": '"Windows"'})
    assert label == f"{browser} on Windows"


@pytest.mark.parametrize(
    ("version", "system"),
    [
        ("15.0.0", "Windows 11"),
        ("13.0.0", "Windows 11"),
        ("10.0.0", "Windows 10"),
        ("0.3.0", "Windows"),
        ("x", "Windows"),
    ],
)
def test_windows_11_says_so_by_a_hint_alone(version: str, system: str) -> None:
    hints = {"sec-ch-ua-platform": '"Windows"', "sec-ch-ua-platform-version": f'"{version}"'}
    label = device_label({"user-agent": CHROME} | hints)
    assert label == f"Chrome 142 on {system}"
    assert title_of(label) == "Chrome on Windows"


def test_a_phone_says_its_model_by_a_hint() -> None:
    agent = f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36"
    label = device_label({"user-agent": agent, "sec-ch-ua-mobile": "?1", "sec-ch-ua-model": '"Pixel 8"'})
    assert label is not None
    assert (title_of(label), kind_of(label)) == ("Chrome on Pixel 8", "phone")
    label = device_label({"user-agent": agent.replace("Mobile ", ""), "sec-ch-ua-mobile": "?0"})
    assert label == "Chrome 142 on Android tablet"


@given(agent=st.text(max_size=600), brands=st.text(max_size=200), model=st.text(max_size=200))
def test_any_header_gives_one_plain_line(agent: str, brands: str, model: str) -> None:
    headers = {"user-agent": f"Mozilla/5.0 (Linux; Android 14; {agent}) Chrome/1.2 Mobile", "sec-ch-ua": brands}
    for each in (headers, headers | {"sec-ch-ua-model": model}, {"user-agent": agent}):
        label = device_label(each)
        assert label is None or (label.isprintable() and 0 < len(label) <= device.LONGEST_LABEL)
        assert label is None or not set(label) & set("<>&\"'\\`")
        assert kind_of(label or "") in KINDS


def test_a_label_is_kept_at_the_login_and_the_versions_stand_below(new_browser: NewBrowser) -> None:
    page = new_browser(agent=IPHONE).get()
    assert texts(page, "h3") == ["Safari on iPhone"]
    assert {"Safari 18", "iOS 18.5"} <= set(texts(page, "span"))


def test_without_the_function_the_librarys_own_label_has_an_icon_as_well(
    sessions: SessionManager, new_browser: NewBrowser
) -> None:
    sessions.device_label._function = None
    page = new_browser(agent=IPHONE).get()
    assert texts(page, "h3") == ["Safari on iPhone"]
    assert "kind-phone" in page.text
