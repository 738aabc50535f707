"""What `only_value` finds is what `values` finds, whatever the header looks like."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from asgi_sessions.protocol.cookies import only_value, values

NAME = b"__Host-sAccessToken"
OTHER = b"__Host-sRefreshToken"
PIECES = st.sampled_from(
    [
        NAME,
        b"=",
        b"; ",
        b";",
        b" ",
        b"\t",
        b",",
        b"a",
        b"a=b",
        NAME + b"=x.y",
        OTHER + b"=z",
        b"__Host-s",
        b"AccessToken=",
        b"\xe9",
        b'"',
    ]
)
COOKIES = st.lists(PIECES, max_size=12).map(b"".join)
HEADERS = st.lists(st.tuples(st.sampled_from([b"cookie", b"host"]), COOKIES), max_size=3)


@given(HEADERS)
@settings(max_examples=500, deadline=None)
@example([(b"cookie", b"a=b; " + NAME + b"=x.y; c=d")])
@example([(b"cookie", NAME + b"=x.y; " + NAME + b" =z")])
@example([(b"cookie", b"x" + NAME + b"=x.y")])
@example([(b"cookie", b"a;" + NAME + b"=x.y")])
@example([(b"cookie", NAME + b"=x"), (b"cookie", NAME + b"=y")])
@example([(b"cookie", b"a=b"), (b"cookie", NAME + b"=y")])
@example([(b"cookie", NAME + b"=")])
def test_it_agrees_with_values_or_says_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    found = only_value(headers, [NAME, OTHER])
    if found:
        assert [found.decode("latin-1")] == values(headers, NAME)
    elif found is not None:
        assert values(headers, NAME) == values(headers, OTHER) == []


def test_it_finds_what_browsers_write() -> None:
    for cookie in (b"%s=x.y", b"a=b; %s=x.y", b"%s=x.y; a=b", b"a=b; %s=x.y; c=d"):
        assert only_value([(b"host", b"h"), (b"cookie", cookie % NAME)], [NAME]) == b"x.y"


def test_it_finds_what_comes_in_crumbs() -> None:
    crumbs = [(b"cookie", b"a=b"), (b"cookie", NAME + b"=x.y"), (b"host", b"h"), (b"cookie", OTHER + b"=z")]
    assert only_value(crumbs, [NAME, OTHER]) == b"x.y"
    assert only_value([*crumbs, (b"cookie", NAME + b"=y")], [NAME, OTHER]) is None
    assert only_value([(b"cookie", b"a=b"), (b"cookie", b"c=d")], [NAME, OTHER]) == b""


def test_it_knows_when_there_is_nothing() -> None:
    assert only_value([(b"host", b"h")], [NAME, OTHER]) == b""
    assert only_value([(b"cookie", b"theme=dark")], [NAME, OTHER]) == b""
    assert only_value([(b"cookie", b"theme=dark; " + OTHER + b"=z")], [NAME, OTHER]) is None
