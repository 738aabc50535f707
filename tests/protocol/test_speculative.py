import pytest

from asgi_sessions.errors import CsrfRejected
from asgi_sessions.protocol import csrf
from asgi_sessions.protocol.speculative import is_speculative

AHEAD = [
    (b"sec-purpose", b"prefetch"),
    (b"sec-purpose", b"prefetch;prerender"),
    (b"sec-purpose", b"prefetch; anonymous-client-ip"),
    (b"sec-purpose", b" Prefetch ;prerender"),
    (b"purpose", b"prefetch"),
    (b"x-moz", b"prefetch"),
]
NOT_AHEAD = [
    (b"sec-purpose", b""),
    (b"sec-purpose", b"partitioned"),
    (b"sec-purpose", b"prefetched"),
    (b"sec-purpose", b"prerender;prefetch"),
    (b"sec-purpose", b"\xff"),
    (b"purpose", b"preview"),
    (b"x-moz", b"livebookmarks"),
    (b"accept", b"prefetch"),
]


@pytest.mark.parametrize("header", AHEAD)
def test_what_browsers_fetch_ahead_says_so(header: tuple[bytes, bytes]) -> None:
    assert is_speculative([(b"host", b"shop.example"), header])
    assert is_speculative([(header[0], b"other"), header])


@pytest.mark.parametrize("header", NOT_AHEAD)
def test_nothing_else_does(header: tuple[bytes, bytes]) -> None:
    assert not is_speculative([(b"host", b"shop.example"), header])
    assert not is_speculative([])


def passes(site: bytes, method: str, purpose: tuple[bytes, bytes]) -> bool:
    try:
        csrf.check(
            method=method,
            scheme="https",
            host="shop.example",
            headers=[(b"Sec-Fetch-Site", site), purpose],
            trusted_origins=[],
        )
    except CsrfRejected:
        return False
    return True


@pytest.mark.parametrize("header", [*AHEAD, *NOT_AHEAD])
def test_none_is_no_evidence_on_what_is_fetched_ahead(header: tuple[bytes, bytes]) -> None:
    """It is the page's and not the address bar's; a page's own word for itself stays one."""
    for method in ("POST", "DELETE"):
        assert passes(b"none", method, header) == (header in NOT_AHEAD)
        assert passes(b"same-origin", method, header)
        assert not passes(b"cross-site", method, header)
    assert passes(b"none", "GET", header)
