import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol import device

MOZILLA = "Mozilla/5.0 "
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        (
            MOZILLA + "(Linux; Android 10; K) " + WEBKIT + "Chrome/126.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            MOZILLA + "(iPhone; CPU iPhone OS 17_5 like Mac OS X) " + WEBKIT + "Version/17.5 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            MOZILLA + "(iPad; CPU OS 17_5 like Mac OS X) " + WEBKIT + "CriOS/126.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPad",
        ),
        (
            MOZILLA + "(Windows NT 10.0; Win64; x64) " + WEBKIT + "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
            "Edge on Windows",
        ),
        (MOZILLA + "(X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox on Linux"),
        (
            MOZILLA + "(Macintosh; Intel Mac OS X 10_15_7) " + WEBKIT + "Version/17.5 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            MOZILLA + "(X11; CrOS x86_64 14541.0.0) " + WEBKIT + "Chrome/126.0.0.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            MOZILLA + "(X11; Linux x86_64) " + WEBKIT + "HeadlessChrome/156.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "Python (httpx)"),
        ("python-httpx2/2.0.0", "Python (httpx)"),
        ("python-requests/2.32.3", "Python (requests)"),
        ("Python/3.11 aiohttp/3.9.5", "Python (aiohttp)"),
        ("Go-http-client/2.0", "Go"),
        ("okhttp/4.12.0", "OkHttp"),
        (MOZILLA + "Firefox/127.0", "Firefox"),
        (MOZILLA, "Unknown device"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_the_label_names_browser_and_system(user_agent: str | None, label: str) -> None:
    assert device.label(user_agent) == label


PIECES = [mark for mark, _ in (*device._BROWSERS, *device._SYSTEMS, *device._PROGRAMS)]


@given(st.text(st.characters()) | st.lists(st.sampled_from(PIECES) | st.text()).map("".join))
def test_any_header_gives_a_short_printable_label(user_agent: str) -> None:
    label = device.label(user_agent)
    assert 0 < len(label) <= 100
    assert label.isascii()
    assert label.isprintable()


def test_only_the_beginning_of_an_endless_header_is_read() -> None:
    assert device.label("x" * 1_000_000 + " Firefox/1") == device.UNKNOWN
