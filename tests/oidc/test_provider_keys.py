"""Keys are fetched from where the configuration says, seldom, and kept where the provider is down."""

import asyncio
import json
import logging

import pytest
from joserfc.jwk import RSAKey

from asgi_sessions.oidc import OIDCProvider, oidc_index
from asgi_sessions.oidc.provider_keys import FRESH_SECONDS, PAUSE_SECONDS, ProviderKeys
from tests.clocks import Seconds
from tests.oidc.conftest import Site
from tests.oidc.openid_provider import OpenIDProvider

EVERY = ["rsa", "ec", "pss", "ed"]


@pytest.fixture
def monotonic() -> Seconds:
    return Seconds()


@pytest.fixture
def keys(provider: OpenIDProvider, monotonic: Seconds) -> ProviderKeys:
    return ProviderKeys(provider.as_configured(), monotonic)


async def ids(keys: ProviderKeys, key_id: str | None = "rsa") -> list[object]:
    return [key["kid"] for key in await keys.of(key_id)]


async def test_they_are_fetched_once_for_all(provider: OpenIDProvider, keys: ProviderKeys) -> None:
    found = await asyncio.gather(*(ids(keys) for _ in range(20)))
    assert found == [EVERY] * 20
    assert await ids(keys, None) == EVERY
    assert provider.asked == keys.fetches == 1


async def test_unknown_keys_fetch_once_in_ten_seconds(
    provider: OpenIDProvider, keys: ProviderKeys, monotonic: Seconds
) -> None:
    for number in range(50):
        await ids(keys, f"unknown-{number}")
    assert provider.asked == 1
    monotonic.now += PAUSE_SECONDS
    provider.keys["new"] = RSAKey.generate_key(2048, {"kid": "new"})
    assert "new" in await ids(keys, "new")
    assert provider.asked == 2


async def test_a_key_that_is_withdrawn_counts_for_an_hour_at_most(
    provider: OpenIDProvider, keys: ProviderKeys, monotonic: Seconds
) -> None:
    await ids(keys)
    del provider.keys["RS256"]
    monotonic.now += FRESH_SECONDS - 1
    assert "rsa" in await ids(keys)
    monotonic.now += 1
    assert await ids(keys) == ["ec", "pss", "ed"]


BROKEN = {
    "an error": (500, {}, b""),
    "elsewhere": (302, {"Location": "/other"}, b""),
    "no JSON": (200, {}, b"<html>"),
    "no set": (200, {}, b'{"keys": 7}'),
    "a list": (200, {}, b"[]"),
    "nested": (200, {}, b"[" * 100_000),
    "huge": (200, {}, b" " * 300_000),
    "too many": (200, {}, json.dumps({"keys": [{}] * 101}).encode()),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_the_last_good_ones_go_on_where_the_answer_is_broken(
    name: str, provider: OpenIDProvider, keys: ProviderKeys, monotonic: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    await ids(keys)
    provider.answer = lambda: BROKEN[name]
    monotonic.now += FRESH_SECONDS
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        assert await ids(keys) == EVERY
    assert provider.asked == 2, "and nothing else was fetched"
    assert "could not be fetched" in caplog.text
    provider.answer = provider.key_set
    del provider.keys["ES256"]
    assert await ids(keys) == EVERY, "not before the pause is over"
    monotonic.now += PAUSE_SECONDS
    assert await ids(keys) == ["rsa", "pss", "ed"]


async def test_a_logout_whose_keys_cannot_be_had_is_503_and_ends_nothing(site: Site, provider: OpenIDProvider) -> None:
    await site.log_in()
    provider.answer = lambda: (500, {}, b"")
    answer = await site.post(provider.logout_token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(await site.live()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"client_id": ""},
        {"jwks_uri": "http://idp.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "jwks"},
        {"algorithms": ()},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
    ],
)
def test_a_provider_that_cannot_be_meant(changes: dict[str, object]) -> None:
    values = {"issuer": "https://idp.example", "client_id": "us", "jwks_uri": "https://idp.example/jwks"}
    OIDCProvider(**values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=next(iter(changes))):
        OIDCProvider(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("claims", [{}, {"iss": "x"}, {"sub": "x"}, {"iss": 1, "sub": "x"}])
def test_claims_without_issuer_or_subject_name_no_session(claims: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="claims"):
        oidc_index(claims)
