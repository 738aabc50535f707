import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from asgi_sessions.errors import CsrfRejected
from asgi_sessions.protocol import csrf

OWN = "https://shop.example"
TRUSTED = "https://login.example"
OTHER = "https://evil.example"

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", ""]
SITES: list[tuple[str, ...]] = [
    (),
    ("same-origin",),
    ("none",),
    ("same-site",),
    ("cross-site",),
    ("",),
    ("Same-Origin",),
    ("same-origin, same-origin",),
    ("same-origin", "same-origin"),
    ("same-origin", "cross-site"),
]
ORIGINS: list[tuple[str, ...]] = [
    (),
    (OWN,),
    (TRUSTED,),
    (OTHER,),
    ("null",),
    ("",),
    ("http://shop.example",),
    ("https://shop.example:8443",),
    (OWN, OWN),
    (TRUSTED, TRUSTED),
    (OWN, OTHER),
]


def passes(headers: Any, method: str = "POST", **changes: Any) -> bool:
    arguments: dict[str, Any] = {"scheme": "https", "host": "shop.example", "trusted_origins": [TRUSTED]}
    try:
        csrf.check(method=method, headers=headers, **{**arguments, **changes})
    except CsrfRejected:
        return False
    return True


def pairs(sites: Sequence[str], origins: Sequence[str]) -> list[tuple[str, str]]:
    return [*(("Sec-Fetch-Site", site) for site in sites), *(("Origin", origin) for origin in origins)]


def oracle(method: str, sites: tuple[str, ...], origins: tuple[str, ...], websocket: bool, strict: bool) -> str:
    """The rules of the design, one after the other, as a name for the rule that decided."""
    if websocket:
        match sites, origins:
            case _, ("https://shop.example" | "https://login.example",):
                return "pass: own or trusted origin"
            case _, (_, *_):
                return "refuse: origin of somebody else"
            case ("same-origin" | "none",), ():
                return "pass: the browser says so"
            case (_, *_), ():
                return "refuse: another site"
    else:
        if method in ("GET", "HEAD", "OPTIONS"):
            return "pass: safe"
        match sites, origins:
            case ("same-origin" | "none",), _:
                return "pass: the browser says so"
            case _, ("https://login.example",):
                return "pass: trusted"
            case (_, *_), _:
                return "refuse: another site"
            case (), ("https://shop.example",):
                return "pass: own origin"
            case (), (_, *_):
                return "refuse: origin of somebody else"
    return "refuse: no evidence" if strict else "pass: no browser"


@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize("require_origin", [False, True])
@pytest.mark.parametrize("sites", SITES)
def test_the_whole_table(sites: tuple[str, ...], require_origin: bool, websocket: bool) -> None:
    for method, origins in itertools.product(METHODS, ORIGINS):
        rule = oracle(method, sites, origins, websocket, require_origin)
        passed = passes(pairs(sites, origins), method, websocket=websocket, require_origin=require_origin)
        assert passed == rule.startswith("pass"), (method, sites, origins, rule)


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Sec-Fetch-Site": "none"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": TRUSTED}, True),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
        ("POST", {"Origin": OWN}, True),
        ("POST", {"Origin": TRUSTED}, True),
        ("POST", {"Origin": "null"}, False),
        ("POST", {"Origin": "http://shop.example"}, False),
        ("POST", {"Origin": "https://shop.example.evil.example"}, False),
        ("POST", {}, True),
        ("DELETE", {"Origin": OTHER}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, True),
    ],
)
def test_examples(method: str, headers: dict[str, str], expected: bool) -> None:
    assert passes(headers, method) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": OWN}, True),
        ({"Origin": OTHER}, False),
        ({"Origin": OTHER, "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({}, True),
    ],
)
def test_websocket_examples(headers: dict[str, str], expected: bool) -> None:
    assert passes(headers, "GET", websocket=True, scheme="wss") is expected


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "expected"),
    [
        ("https", "Shop.Example", "https://shop.example", True),
        ("https", "shop.example:443", "https://shop.example", True),
        ("https", "shop.example:", "https://shop.example", True),
        ("https", b"shop.example", "https://shop.example", True),
        ("https", "shop.example:8443", "https://shop.example:8443", True),
        ("https", "shop.example:80", "https://shop.example", False),
        ("http", "shop.example:80", "http://shop.example", True),
        ("http", "shop.example", "https://shop.example", False),
        ("ws", "127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("wss", "[::1]:443", "https://[::1]", True),
        ("https", "xn--zo-fka.example", "https://xn--zo-fka.example", True),
        ("https", "shop.example.", "https://shop.example", False),
        ("https", "", "https://", False),
        ("https", None, "https://shop.example", False),
        ("https", "\u212aelvin.example", "https://kelvin.example", False),
        ("https", "shop.example/x", "https://shop.example/x", False),
        ("https", "u@shop.example", "https://u@shop.example", False),
        ("https", "null", "null", False),
        ("file", "", "file://", False),
        ("", "shop.example", "https://shop.example", False),
    ],
)
def test_the_own_origin_is_scheme_host_and_port(
    scheme: str, host: str | bytes | None, origin: str, expected: bool
) -> None:
    assert passes({"Origin": origin}, scheme=scheme, host=host) is expected


@pytest.mark.parametrize(
    "origin",
    ["https://LOGIN.example", "https://login.example:443", "https://login.example/", "login.example", "*"],
)
def test_a_trusted_origin_is_trusted_exactly(origin: str) -> None:
    assert not passes({"Origin": origin})


@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_an_application_with_a_scheme_of_its_own_is_trusted_exactly(headers: dict[str, str], websocket: bool) -> None:
    trusted = ["capacitor://localhost", "app://."]
    for origin in trusted:
        assert passes({**headers, "Origin": origin}, trusted_origins=trusted, websocket=websocket)
    for origin in (
        "capacitor://localhost:80",
        "capacitor://localhost.",
        "http://localhost",
        "app://",
        "app://x",
        "x://.",
    ):
        assert not passes({**headers, "Origin": origin}, trusted_origins=trusted, websocket=websocket)


def test_null_is_not_even_trusted_by_a_list_that_names_it() -> None:
    assert not passes({"Origin": "null"}, trusted_origins=["null"])


@pytest.mark.parametrize(
    "headers",
    [
        {"ORIGIN": OTHER},
        {"Origin": OWN, "origin": OWN},
        [("Origin", OTHER)],
        [(b"origin", OTHER.encode())],
        iter([(b"Origin", OTHER.encode())]),
        Headers({"Origin": OTHER}),
        Headers(raw=[(b"origin", OWN.encode()), (b"origin", OWN.encode())]),
        Headers(raw=[(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"none")]),
    ],
)
def test_headers_of_every_form_are_read(headers: Any) -> None:
    assert not passes(headers)


FORM = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {**FORM, "Origin": TRUSTED}, True),
        ("POST", {**FORM, "Sec-Fetch-Dest": "iframe", "Origin": TRUSTED}, True),
        ("POST", {"Origin": TRUSTED}, True),
        ("POST", {**FORM, "Origin": "null"}, False),
        ("POST", {**FORM, "Origin": OTHER}, False),
        ("POST", FORM, False),
        ("POST", {**FORM, "Sec-Fetch-Mode": "cors", "Origin": TRUSTED}, False),
        ("GET", {**FORM, "Origin": TRUSTED}, False),
        ("", {"Origin": TRUSTED}, False),
    ],
)
def test_a_form_comes_from_a_page_of_a_named_origin(method: str, headers: dict[str, str], expected: bool) -> None:
    assert csrf.is_form_of([TRUSTED], method=method, headers=headers) is expected
    assert not csrf.is_form_of([], method=method, headers=headers)


anything = st.text(st.characters()) | st.binary()
names = st.sampled_from(["origin", b"Origin", "sec-fetch-site", b"SEC-FETCH-SITE", "sec-fetch-mode"]) | anything
garbage = st.lists(st.tuples(names, st.sampled_from([OWN, b"none", "cross-site", b"navigate"]) | anything))


@given(st.text(), st.text(), st.none() | anything, garbage, st.booleans())
def test_garbage_passes_or_is_refused_and_nothing_else(
    method: str, scheme: str, host: Any, headers: Any, websocket: bool
) -> None:
    passes(headers, method, scheme=scheme, host=host, websocket=websocket)
    allowed = csrf.refresh_allowed(scheme=scheme, host=host, headers=headers, trusted_origins=[])
    assert isinstance(allowed, bool)
    assert isinstance(csrf.is_form_of([TRUSTED, "null"], method=method, headers=headers), bool)


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
IMAGE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


@pytest.mark.parametrize("kind", [NAVIGATION, FRAME, IMAGE, FETCH, {}])
@pytest.mark.parametrize("sites", SITES)
@pytest.mark.parametrize("origins", ORIGINS)
@pytest.mark.parametrize("embedded", [False, True])
def test_the_whole_table_of_inline_refresh(
    kind: dict[str, str], sites: tuple[str, ...], origins: tuple[str, ...], embedded: bool
) -> None:
    if origins == (TRUSTED,) or sites in (("same-origin",), ("none",), ("same-site",)):
        expected = True
    elif sites == ():
        expected = origins in ((), (OWN,))
    else:
        expected = kind is NAVIGATION or (embedded and kind is FRAME)
    allowed = csrf.refresh_allowed(
        scheme="https",
        host="shop.example",
        headers=[*kind.items(), *pairs(sites, origins)],
        trusted_origins=[TRUSTED],
        embedded=embedded,
    )
    assert allowed is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "cross-site", **NAVIGATION}, True),
        ({"Sec-Fetch-Site": "cross-site", **FRAME}, False),
        ({"Sec-Fetch-Site": "cross-site", **IMAGE}, False),
        ({"Sec-Fetch-Site": "cross-site", **FETCH, "Origin": TRUSTED}, True),
        ({"Sec-Fetch-Site": "cross-site", **FETCH, "Origin": OTHER}, False),
        ({"Sec-Fetch-Site": "same-origin", **FETCH}, True),
        ({}, True),
        ({"Origin": OTHER}, False),
    ],
)
def test_inline_refresh_examples(headers: dict[str, str], expected: bool) -> None:
    allowed = csrf.refresh_allowed(scheme="https", host="shop.example", headers=headers, trusted_origins=[TRUSTED])
    assert allowed is expected
