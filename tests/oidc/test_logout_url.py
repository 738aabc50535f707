"""Where the browser goes to sign out at the provider too: all parameters of the specification, and what is refused."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from asgi_sessions.oidc import OIDCProvider, oidc_logout_url

VALUES: dict[str, Any] = {
    "issuer": "https://login.example",
    "client_id": "shop & café",
    "jwks_uri": "https://login.example/jwks",
}
PROVIDER = OIDCProvider(**VALUES, end_session_endpoint="https://login.example/session/end")
BACK = "https://shop.example/logged-out?from=company"
ID_TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"


def test_all_parameters_of_the_specification_are_in_the_address_each_once() -> None:
    address = oidc_logout_url(
        PROVIDER,
        id_token_hint=ID_TOKEN,
        post_logout_redirect_uri=BACK,
        state="a state & more = ü",
        logout_hint="ada@company.example",
        ui_locales=["de-CH", "de"],
    )
    assert address.startswith("https://login.example/session/end?")
    assert parse_qsl(urlsplit(address).query, strict_parsing=True) == [
        ("id_token_hint", ID_TOKEN),
        ("client_id", "shop & café"),
        ("post_logout_redirect_uri", BACK),
        ("state", "a state & more = ü"),
        ("logout_hint", "ada@company.example"),
        ("ui_locales", "de-CH de"),
    ]


def test_what_is_not_given_is_not_in_the_address() -> None:
    assert parse_qs(urlsplit(oidc_logout_url(PROVIDER)).query) == {"client_id": ["shop & café"]}


def test_a_query_that_the_endpoint_has_stays() -> None:
    provider = OIDCProvider(**VALUES, end_session_endpoint="https://login.example/logout?tenant=7")
    address = oidc_logout_url(provider, post_logout_redirect_uri=BACK)
    assert parse_qs(urlsplit(address).query) == {
        "tenant": ["7"],
        "client_id": ["shop & café"],
        "post_logout_redirect_uri": [BACK],
    }


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"id_token_hint": b"a.b.c"}, TypeError, "id_token_hint"),
        ({"id_token_hint": "no token"}, ValueError, "id_token_hint"),
        ({"id_token_hint": "a.b.c&client_id=other"}, ValueError, "id_token_hint"),
        ({"id_token_hint": ""}, ValueError, "id_token_hint"),
        ({"post_logout_redirect_uri": 1}, TypeError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "/logged-out"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "//evil.example/"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "http://shop.example/"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "javascript:alert(1)"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https:///"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https://[::1"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https://shop.example/#there"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https://shop.example@evil.example/"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https://shop.example/\r\nX: 1"}, ValueError, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uri": "https://shop.example/ü"}, ValueError, "post_logout_redirect_uri"),
        ({"state": "alone"}, ValueError, "state"),
        ({"state": "", "post_logout_redirect_uri": BACK}, ValueError, "state"),
        ({"state": 7, "post_logout_redirect_uri": BACK}, TypeError, "state"),
        ({"state": "s" * 1001, "post_logout_redirect_uri": BACK}, ValueError, "state"),
        ({"logout_hint": "ada\n"}, ValueError, "logout_hint"),
        ({"logout_hint": "ada\ud800"}, ValueError, "logout_hint"),
        ({"ui_locales": "de en"}, TypeError, "ui_locales"),
        ({"ui_locales": ["de", "e n"]}, ValueError, "ui_locales"),
        ({"ui_locales": [None]}, ValueError, "ui_locales"),
        ({"ui_locales": None}, TypeError, "ui_locales"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_named(arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=rf"^{named} "):
        oidc_logout_url(PROVIDER, **arguments)


def test_an_error_repeats_nothing_of_the_id_token() -> None:
    with pytest.raises(ValueError, match="signed JWT") as raised:
        oidc_logout_url(PROVIDER, id_token_hint="her.secret")
    assert "secret" not in str(raised.value)


def test_a_provider_without_the_address_or_none_at_all_is_named() -> None:
    with pytest.raises(ValueError, match="end_session_endpoint"):
        oidc_logout_url(OIDCProvider(**VALUES))
    with pytest.raises(TypeError, match="provider must be an OIDCProvider"):
        oidc_logout_url("https://login.example")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("endpoint", "error"),
    [
        ("http://login.example/end", ValueError),
        ("login.example/end", ValueError),
        ("https://login.example/end#now", ValueError),
        ("", ValueError),
        (b"https://login.example/end", TypeError),
    ],
)
def test_an_address_of_the_provider_that_none_can_be_is_refused(endpoint: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="end_session_endpoint"):
        OIDCProvider(**VALUES, end_session_endpoint=endpoint)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:9000"])
def test_on_this_machine_no_tls_is_needed(host: str) -> None:
    OIDCProvider(**VALUES, end_session_endpoint=f"http://{host}/end")
