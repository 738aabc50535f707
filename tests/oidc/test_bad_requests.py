"""What is no logout token, or no form with one, is refused by its status, and ends nothing."""

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.oidc.conftest import Site
from tests.oidc.openid_provider import EVENT, OpenIDProvider

Make = Callable[[OpenIDProvider], str]


def of(**changes: Any) -> Make:
    return lambda provider: provider.logout_token(**changes)


def signed(text: Callable[[OpenIDProvider], str]) -> Make:
    return lambda provider: provider.signed(text(provider))


def odd(**header: Any) -> Make:
    return lambda provider: provider.odd(header)


def _unsigned(provider: OpenIDProvider) -> str:
    return provider.odd({"alg": "none"}, lambda _: b"")


def _by_the_public_key(provider: OpenIDProvider) -> str:
    """HS256 whose secret is what everybody can read."""
    secret = provider.keys["RS256"].as_pem(private=False)
    return provider.odd({"alg": "HS256"}, lambda text: hmac.digest(secret, text, "sha256"))


def _twice(provider: OpenIDProvider) -> str:
    return json.dumps(provider.claims())[:-1] + ', "sid": "session-1"}'


TOKENS: dict[str, Make] = {
    "none": lambda _: "",
    "no token": lambda _: "a.b.c",
    "not signed": _unsigned,
    "signed by a secret that is public": _by_the_public_key,
    "of another key by the same name": lambda provider: provider.logout_token(
        key=RSAKey.generate_key(2048, {"kid": "rsa"})
    ),
    "of a key that is too short": lambda provider: provider.logout_token(key=RSAKey.generate_key(1024, {"kid": "rsa"})),
    "an algorithm that is not allowed": odd(alg="RS512"),
    "a critical extension": odd(crit=["exp"]),
    "a payload that is not encoded": odd(b64=False),
    "an algorithm that is no text": odd(alg=["RS256"]),
    "a key id that is no text": odd(kid=7),
    "an ID token": of(events=None, nonce="n-0S6_WzA2Mj", header={"typ": "JWT"}),
    "an access token": of(header={"typ": "at+jwt"}),
    "another event token": of(header={"typ": "secevent+jwt"}),
    "another issuer": of(iss="https://evil.example"),
    "an issuer with a slash more": lambda provider: provider.logout_token(iss=provider.issuer + "/"),
    "an issuer that is no text": of(iss=["x"]),
    "no issuer": of(iss=None),
    "another audience": of(aud="somebody"),
    "other audiences": of(aud=["somebody", "else"]),
    "no audience": of(aud=None),
    "an audience that is no text": of(aud={"our-application": 1}),
    "no time of issue": of(iat=None),
    "a time of issue that is a text": of(iat="1800000000"),
    "a time of issue that is true": of(iat=True),
    "issued in an hour": of(iat=1_800_003_600),
    "no expiry, and issued minutes ago": of(exp=None, iat=1_799_999_819),
    "an expiry that is null": signed(lambda p: json.dumps(p.claims() | {"exp": None})),
    "an expiry that is a text": of(exp="1800000120"),
    "an expiry that is endless": signed(lambda p: json.dumps(p.claims()).replace('"exp": ', '"exp": Infinity, "e": ')),
    "expired": of(exp=1_799_999_900),
    "no jti": of(jti=None),
    "an empty jti": of(jti=""),
    "a jti that is a number": of(jti=7),
    "a nonce": of(nonce="n"),
    "no events": of(events=None),
    "events that are a list": of(events=[EVENT]),
    "another event": of(events={"https://example.com/event": {}}),
    "an event that is no object": of(events={EVENT: True}),
    "neither session nor subject": of(sid=None, sub=None),
    "a session that is a number": of(sid=7),
    "a subject that is an object": of(sid=None, sub={"a": 1}),
    "a session of a megabyte": of(sid="s" * 5000),
    "a name twice": signed(_twice),
    "claims that are a list": signed(lambda _: "[]"),
    "claims that are no JSON": signed(lambda _: "{"),
    "claims nested deeply": signed(lambda _: '{"a":' * 2000 + "1" + "}" * 2000),
    "longer than any": of(extra="x" * 20_000),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_what_is_no_logout_token_is_400_and_ends_nothing(
    name: str, site: Site, provider: OpenIDProvider, recwarn: pytest.WarningsRecorder
) -> None:
    await site.log_in()
    token = TOKENS[name](provider)
    recwarn.clear()
    answer = await site.post(token)
    assert answer.status_code == 400
    told = answer.json()
    assert told["error"] == "invalid_request"
    assert told["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert len(await site.live()) == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 400),
        (b"logout_token=a&logout_token=b", "application/x-www-form-urlencoded", 400),
        (b"id_token=a", "application/x-www-form-urlencoded", 400),
        (b"logout_token=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(20)), "application/x-www-form-urlencoded", 400),
        (b"logout_token=" + b"a" * 1_000_000, "application/x-www-form-urlencoded", 413),
        (b'{"logout_token": "a"}', "application/json", 415),
        (b"logout_token=a", "text/plain", 415),
        (b"logout_token=a", "", 415),
    ],
)
async def test_what_is_no_form_with_one_token(body: bytes, kind: str, status: int, site: Site) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await site.client.post("/auth/oidc/backchannel-logout", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


async def test_only_a_post_will_do(site: Site) -> None:
    assert (await site.client.get("/auth/oidc/backchannel-logout")).status_code == 405
