import email.utils
import http.cookies
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol import cookies
from asgi_sessions.protocol.cookies import CookieSpec

NOW = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
NAME = b"sAccessToken"

pieces = st.sampled_from([NAME, b"=", b";", b" ", b"\t", b"x", b'"', b",", b"sAccess", b"__Host-", b"\xa0", b"\n"])
header_bytes = st.binary() | st.lists(pieces | st.binary(max_size=2)).map(b"".join)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], {}),
        ([""], {}),
        (["a=1; b=2"], {"a": ["1"], "b": ["2"]}),
        (["a=1; b=2; a=3", "a=4"], {"a": ["1", "3", "4"], "b": ["2"]}),
        ([b"a=\xe9"], {"a": ["\xe9"]}),
        (["  a \t=  1 2\t;b=2;;  ;"], {"a": ["1 2"], "b": ["2"]}),
        (["a=b=c"], {"a": ["b=c"]}),
        (['a="1"; b="2;3"'], {"a": ['"1"'], "b": ['"2'], "": ['3"']}),
        (["alone; =2; ="], {"": ["alone", "2", ""]}),
        (["a="], {"a": [""]}),
        (["A=1; a=2"], {"A": ["1"], "a": ["2"]}),
        ("a=1; b=2", {"a": ["1"], "b": ["2"]}),
        (b"a=1", {"a": ["1"]}),
    ],
)
def test_every_value_is_kept_in_order_and_as_sent(headers: Any, expected: dict[str, list[str]]) -> None:
    assert cookies.parse(headers) == expected


@given(st.lists(st.text(st.characters()) | header_bytes))
def test_any_header_can_be_parsed_and_no_piece_is_lost(headers: list[str | bytes]) -> None:
    found = cookies.parse(headers)
    texts = [header.decode("latin-1") if isinstance(header, bytes) else header for header in headers]
    kept = sum(bool(piece.strip(" \t")) for text in texts for piece in text.split(";"))
    assert sum(map(len, found.values())) == kept


@given(st.lists(st.tuples(st.sampled_from([b"cookie", b"cookie2", b"host"]), header_bytes)))
def test_the_fast_scan_finds_what_the_parser_finds(raw_headers: list[tuple[bytes, bytes]]) -> None:
    parsed = cookies.parse([value for header, value in raw_headers if header == b"cookie"])
    assert cookies.values(raw_headers, NAME) == parsed.get(NAME.decode(), [])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"sAccessToken=1", ["1"]),
        (b"xsAccessToken=1", []),
        (b"__Host-sAccessToken=1", []),
        (b"sAccessTokenx=1", []),
        (b"x=sAccessToken=1", []),
        (b"sAccessToken", []),
        (b"xsAccessToken=1; sAccessToken=2;sAccessToken=3", ["2", "3"]),
        (b"a=1; sAccessToken = 2 ; b=3", ["2"]),
        (b"sAccessToken=sAccessToken=1", ["sAccessToken=1"]),
        (b"sAccessToken=\xff", ["\xff"]),
    ],
)
def test_a_name_within_another_name_is_another_cookie(header: bytes, expected: list[str]) -> None:
    assert cookies.values([(b"host", b"a"), (b"cookie", header)], NAME) == expected


@pytest.mark.parametrize("piece", [NAME, NAME + b";", b";" + NAME + b"x=", b"=" + NAME])
def test_the_fast_scan_of_a_hostile_header_is_linear(piece: bytes) -> None:
    # A quadratic scan of this header would take minutes, the linear one takes milliseconds.
    header = piece * (4_000_000 // len(piece))
    assert cookies.values([(b"cookie", header)], NAME) == []


def test_the_set_cookie_header_has_every_attribute_in_a_fixed_order() -> None:
    assert CookieSpec(name="__Host-sAccessToken").set_header("v", NOW, NOW + 60_000) == (
        b"__Host-sAccessToken=v; Path=/; Expires=Tue, 14 Nov 2023 22:14:20 GMT; Max-Age=60; "
        b"HttpOnly; Secure; SameSite=Lax"
    )


def test_the_domain_comes_first_and_absent_flags_are_left_out() -> None:
    spec = CookieSpec(name="a", domain="example.com", path="/x", secure=False, samesite="strict", http_only=False)
    assert spec.set_header("v", NOW, NOW) == (
        b"a=v; Domain=example.com; Path=/x; Expires=Tue, 14 Nov 2023 22:13:20 GMT; Max-Age=0; SameSite=Strict"
    )


def test_a_cookie_that_ends_with_the_browser_has_neither_expires_nor_max_age() -> None:
    assert CookieSpec(name="__Host-sAccessToken").set_header("v", NOW, None) == (
        b"__Host-sAccessToken=v; Path=/; HttpOnly; Secure; SameSite=Lax"
    )


def test_clearing_differs_only_in_value_and_time() -> None:
    assert CookieSpec(name="__Secure-a", path="/auth", domain="example.com").clear_header() == (
        b"__Secure-a=; Domain=example.com; Path=/auth; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; "
        b"HttpOnly; Secure; SameSite=Lax"
    )


@pytest.mark.parametrize(("milliseconds", "max_age"), [(-5000, 0), (0, 0), (1, 1), (1000, 1), (1001, 2)])
def test_max_age_is_whole_seconds_rounded_up_and_never_negative(milliseconds: int, max_age: int) -> None:
    header = CookieSpec(name="a").set_header("v", NOW, NOW + milliseconds)
    assert f"; Max-Age={max_age};".encode() in header


@given(st.integers(0, 253_402_300_799))
def test_expires_is_an_http_date(seconds: int) -> None:
    header = CookieSpec(name="a").set_header("v", 0, seconds * 1000).decode()
    expected = time.strftime("%d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
    expires = header.partition("Expires=")[2].partition(";")[0]
    assert expires.partition(", ")[2] == expected
    if seconds < 2**31:
        assert expires == email.utils.formatdate(seconds, usegmt=True)


@given(st.integers())
def test_any_time_gives_a_date_of_the_same_length(expires_at: int) -> None:
    header = CookieSpec(name="a").set_header("v", NOW, expires_at)
    assert len(header.partition(b"Expires=")[2].partition(b";")[0]) == 29


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\')))
def test_what_is_set_is_what_is_read(value: str) -> None:
    header = CookieSpec(name="sAccessToken").set_header(value, NOW, NOW + 1).decode()
    assert cookies.parse([header.partition(";")[0]]) == {"sAccessToken": [value]}
    assert http.cookies.SimpleCookie(header)["sAccessToken"].value == value


@given(st.text(st.characters()))
def test_no_value_adds_an_attribute_or_a_header(value: str) -> None:
    try:
        header = CookieSpec(name="a").set_header(value, NOW, NOW)
    except ValueError:
        return
    assert header.startswith(f"a={value}; Path=/; Expires=".encode())
    assert header.count(b";") == 6
    assert not set(header) & set(b"\r\n\0")


@pytest.mark.parametrize("value", ["a;b", "a b", "a\r\nSet-Cookie: x=1", "a\n", "é", '"a"', "a,b", "a\\b", "\x7f"])
def test_values_with_other_characters_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        CookieSpec(name="a").set_header(value, NOW, NOW)


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": ""},
        {"name": "a=b"},
        {"name": "a\n"},
        {"name": "é"},
        {"path": "x"},
        {"path": ""},
        {"path": "/;x"},
        {"path": "/\n"},
        {"path": "/" + "x" * 1024},
        {"domain": ""},
        {"domain": "a;b"},
        {"domain": "a\n"},
        {"domain": "a..b"},
        {"samesite": "Lax; x"},
        {"samesite": "none", "secure": False},
        {"partitioned": True, "secure": False},
        {"name": "__Host-a", "path": "/x"},
        {"name": "__Host-a", "domain": "example.com"},
        {"name": "__host-a", "secure": False},
        {"name": "__Secure-a", "secure": False},
    ],
)
def test_a_cookie_that_browsers_refuse_cannot_be_described(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cookie"):
        CookieSpec(**{"name": "a", **attributes})


@pytest.mark.parametrize(
    ("prefix", "secure", "domain", "path", "expected"),
    [
        (None, True, None, "/", "__Host-a"),
        (None, True, None, "/x", "__Secure-a"),
        (None, True, "example.com", "/", "__Secure-a"),
        (None, False, None, "/", "a"),
        ("", True, None, "/", "a"),
        ("__Secure-", True, None, "/", "__Secure-a"),
        ("__Host-", True, None, "/", "__Host-a"),
        ("__Host-Http-", True, None, "/", "__Host-Http-a"),
        ("__Http-", True, "example.com", "/x", "__Http-a"),
        ("shop_", False, None, "/", "shop_a"),
    ],
)
def test_the_strongest_prefix_that_the_attributes_allow(
    prefix: str | None, secure: bool, domain: str | None, path: str, expected: str
) -> None:
    assert cookies.prefixed_name("a", prefix, secure=secure, domain=domain, path=path) == expected


@pytest.mark.parametrize(
    ("prefix", "secure", "domain", "path"),
    [
        ("__Host-", False, None, "/"),
        ("__Host-", True, "example.com", "/"),
        ("__Host-", True, None, "/x"),
        ("__Secure-", False, None, "/"),
        ("__HOST-", True, None, "/x"),
        ("__Host-Http-", False, None, "/"),
        ("__Host-Http-", True, "example.com", "/"),
        ("__host-http-", True, None, "/x"),
        ("__Http-", False, None, "/"),
    ],
)
def test_a_prefix_whose_rules_are_not_met_is_refused(prefix: str, secure: bool, domain: str | None, path: str) -> None:
    with pytest.raises(ValueError, match="the prefix requires"):
        cookies.prefixed_name("a", prefix, secure=secure, domain=domain, path=path)


@pytest.mark.parametrize("name", ["__Http-a", "__Host-Http-a", "__HOST-HTTP-a"])
def test_a_prefix_that_keeps_scripts_out_is_none_for_a_cookie_that_they_read(name: str) -> None:
    with pytest.raises(ValueError, match="the prefix requires HttpOnly"):
        cookies.CookieSpec(name=name, http_only=False)
    assert cookies.CookieSpec(name=name).name == name
