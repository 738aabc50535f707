"""What is no security event token for us is refused by the code of RFC 8935, and ends nothing."""

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.oidc.conftest import Receiver
from tests.oidc.openid_provider import CLIENT_ID, EVENT
from tests.oidc.transmitter import AUDIENCE, REVOKED, SET, Transmitter

Make = Callable[[Transmitter], str]
REQUEST, KEY, ISSUER, RECIPIENT, SIGNATURE = (
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
)


def of(event: Mapping[str, Any] = {}, **changes: Any) -> Make:
    return lambda transmitter: transmitter.event(event=event, **changes)


def odd(**header: Any) -> Make:
    return lambda transmitter: transmitter.odd({"typ": SET, **header}, claims=transmitter.event_claims())


def text(change: Callable[[str], str]) -> Make:
    """Claims as text that is no longer what it was, signed."""
    return lambda transmitter: transmitter.signed(change(json.dumps(transmitter.event_claims())), header={"typ": SET})


def _unsigned(transmitter: Transmitter) -> str:
    return transmitter.odd({"typ": SET, "alg": "none"}, lambda _: b"", transmitter.event_claims())


def _by_the_public_key(transmitter: Transmitter) -> str:
    secret = transmitter.keys["RS256"].as_pem(private=False)
    claims = transmitter.event_claims()
    return transmitter.odd({"typ": SET, "alg": "HS256"}, lambda data: hmac.digest(secret, data, "sha256"), claims)


def _changed_afterwards(transmitter: Transmitter) -> str:
    one, another = transmitter.event(), transmitter.event(sub_id=transmitter.iss_sub("grace"))
    return ".".join([*one.split(".")[:2], another.split(".")[2]])


def _id_token(transmitter: Transmitter) -> str:
    claims = transmitter.id_token_claims() | {"aud": AUDIENCE, "iat": 1_800_000_000, "exp": 1_800_000_300}
    return transmitter.signed(json.dumps(claims), header={"typ": "JWT"})


TOKENS: dict[str, tuple[Make, str]] = {
    # RFC 8417, 2 and RFC 8935, 2: a signed JWT
    "nothing": (lambda _: "", REQUEST),
    "no token": (lambda _: "a.b.c", REQUEST),
    "base64 that is none": (lambda _: "abcde.abcde.abc", REQUEST),
    "two tokens": (lambda t: f"{t.event()}\n{t.event()}", REQUEST),
    "a JSON text": (lambda t: json.dumps(t.event_claims()), REQUEST),
    "letters of no token": (lambda _: "ä.ö.ü", REQUEST),
    "longer than any": (of(extra="x" * 20_000), REQUEST),
    "claims that are a list": (text(lambda _: "[]"), REQUEST),
    "claims that are no JSON": (text(lambda _: "{"), REQUEST),
    "a name of half a surrogate pair": (lambda t: t.odd({"typ": SET}, claims={"\ud800": 1}), REQUEST),
    "claims nested deeply": (text(lambda _: '{"a":' * 2000 + "1" + "}" * 2000), REQUEST),
    "lists nested deeply": (text(lambda it: it[:-1] + ', "a": ' + "[" * 5000 + "]" * 5000 + "}"), REQUEST),
    "a name twice": (text(lambda it: it[:-1] + ', "jti": "another"}'), REQUEST),
    "an event twice": (text(lambda it: it.replace(f'"{REVOKED}": ', f'"{REVOKED}": 1, "{REVOKED}": ')), REQUEST),
    "a number that is none": (text(lambda it: it.replace('"iat": ', '"iat": NaN, "i": ')), REQUEST),
    "a number of 5000 digits": (text(lambda it: it[:-1] + ', "a": ' + "1" * 5000 + "}"), REQUEST),
    # RFC 8417, 5 and RFC 8725: keys and algorithms
    "not signed": (_unsigned, REQUEST),
    "an algorithm that signs nothing": (odd(alg="none"), KEY),
    "signed by a secret that is public": (_by_the_public_key, KEY),
    "an algorithm that is not allowed": (odd(alg="RS512"), KEY),
    "another algorithm, well signed": (lambda t: t.event(algorithm="RS512", key=t.keys["PS256"]), KEY),
    "a key that nobody has": (odd(kid="unknown"), KEY),
    "of another key by the same name": (lambda t: t.event(key=RSAKey.generate_key(2048, {"kid": "rsa"})), SIGNATURE),
    "of a key that is too short": (lambda t: t.event(key=RSAKey.generate_key(1024, {"kid": "rsa"})), SIGNATURE),
    "changed afterwards": (_changed_afterwards, SIGNATURE),
    "a critical extension": (odd(crit=["exp"]), REQUEST),
    "a payload that is not encoded": (odd(b64=False), REQUEST),
    "an algorithm that is no text": (odd(alg=["RS256"]), REQUEST),
    "a key id that is no text": (odd(kid=7), REQUEST),
    # RFC 8417, 2.3 and SSF, 4.1: another kind of token
    "an ID token": (_id_token, REQUEST),
    "a logout token": (lambda t: t.logout_token(aud=AUDIENCE), REQUEST),
    "a logout token by the type of an event": (
        lambda t: t.signed(json.dumps(t.claims(aud=AUDIENCE)), header={"typ": SET}),
        REQUEST,
    ),
    "an access token": (of(header={"typ": "at+jwt"}), REQUEST),
    "a token of no type": (of(header={"typ": None}), REQUEST),
    "a token of the type of any": (of(header={"typ": "JWT"}), REQUEST),
    "an expiry": (of(exp=1_800_000_300), REQUEST),
    "a sub": (of(sub="ada"), REQUEST),
    "a nonce": (of(nonce="n-0S6_WzA2Mj"), REQUEST),
    # RFC 8417, 2.2: the claims
    "another issuer": (of(iss="https://evil.example"), ISSUER),
    "an issuer with a slash more": (lambda t: t.event(iss=t.issuer + "/"), ISSUER),
    "an issuer that is no text": (of(iss=["x"]), ISSUER),
    "no issuer": (of(iss=None), ISSUER),
    "another audience": (of(aud=CLIENT_ID), RECIPIENT),
    "other audiences": (of(aud=["somebody", "else"]), RECIPIENT),
    "no audience": (of(aud=None), RECIPIENT),
    "an audience that is no text": (of(aud={AUDIENCE: 1}), RECIPIENT),
    "audiences that are no texts": (of(aud=[[AUDIENCE], None]), RECIPIENT),
    "no time of issue": (of(iat=None), REQUEST),
    "a time of issue that is a text": (of(iat="1800000000"), REQUEST),
    "a time of issue that is true": (of(iat=True), REQUEST),
    "a time of issue in milliseconds": (of(iat=1_800_000_000_000), REQUEST),
    "issued in an hour": (of(iat=1_800_003_600), REQUEST),
    "no jti": (of(jti=None), REQUEST),
    "an empty jti": (of(jti=""), REQUEST),
    "a jti that is a number": (of(jti=7), REQUEST),
    "a jti of half a surrogate pair": (of(jti="\ud800"), REQUEST),
    "a toe that is a text": (of(toe="1800000000"), REQUEST),
    "a toe in an hour": (of(toe=1_800_003_600), REQUEST),
    "no events": (of(events=None), REQUEST),
    "events that are a list": (of(events=[REVOKED]), REQUEST),
    "events that are a text": (of(events=REVOKED), REQUEST),
    "events without one": (of(events={}), REQUEST),
    "an event without a name": (of(events={"": {}}), REQUEST),
    "an event that is no object": (of(events={REVOKED: True}), REQUEST),
    "an event that is null": (of(events={REVOKED: None}), REQUEST),
    "too many events": (of(events={f"https://example.com/{n}": {} for n in range(11)}), REQUEST),
    "a name of an event that is too long": (of(events={"https://example.com/" + "x" * 500: {}}), REQUEST),
    # CAEP, 2
    "an event's time that is a text": (of({"event_timestamp": "1800000000"}), REQUEST),
    "an event's time in milliseconds": (of({"event_timestamp": 1_800_000_000_000}), REQUEST),
    "an event's time that is below zero": (of({"event_timestamp": -1}), REQUEST),
    "an event's time in an hour": (of({"event_timestamp": 1_800_003_600}), REQUEST),
    # SSF, 3: whom it is about
    "no subject": (of(sub_id=None), REQUEST),
    "a subject inside the event": (lambda t: t.event(event={"subject": t.iss_sub()}, sub_id=None), REQUEST),
    "a subject that is a text": (of(sub_id="ada"), REQUEST),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_what_is_no_event_for_us_is_400_and_ends_nothing(
    name: str, receiver: Receiver, transmitter: Transmitter, recwarn: pytest.WarningsRecorder
) -> None:
    await receiver.log_in()
    make, code = TOKENS[name]
    token = make(transmitter)
    recwarn.clear()
    answer = await receiver.push(token)
    if name == "a logout token by the type of an event":
        token = transmitter.event(events={EVENT: {}})  # and where it has neither exp nor sub nothing follows from it
        assert (await receiver.push(token)).status_code == 202
    assert (answer.status_code, answer.json()["err"]) == (400, code)
    assert answer.json()["description"]
    assert answer.headers["content-language"] == "en"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert len(await receiver.live()) == 1
    assert (await receiver.push(transmitter.event())).status_code == 202
    assert await receiver.live() == [], "the same, but as it should be"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a" * 1_000_000, "application/secevent+jwt", 413),
        (b"[" * 65_000, "application/secevent+jwt", 400),
        (b"\xff\x00", "application/secevent+jwt", 400),
        (None, "application/jwt", 415),
        (None, "application/json", 415),
        (None, "application/x-www-form-urlencoded", 415),
        (None, "text/plain", 415),
        (None, "", 415),
        (None, "application/secevent+jwt; charset=utf-8", 202),
        (None, "Application/SecEvent+JWT", 202),
    ],
)
async def test_the_body_is_a_token_of_its_media_type(
    body: bytes | None, kind: str, status: int, receiver: Receiver, transmitter: Transmitter
) -> None:
    answer = await receiver.push(transmitter.event() if body is None else body, kind)
    assert answer.status_code == status
    assert status == 202 or answer.json()["err"] == REQUEST


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_a_post_will_do(method: str, receiver: Receiver) -> None:
    assert (await receiver.client.request(method, "/auth/ssf/events")).status_code == 405


async def test_unknown_keys_are_looked_for_once(receiver: Receiver, transmitter: Transmitter) -> None:
    await receiver.log_in()
    for number in range(20):
        token = transmitter.odd({"typ": SET, "kid": f"unknown-{number}"}, claims=transmitter.event_claims())
        assert (await receiver.push(token)).json()["err"] == KEY
    assert transmitter.asked == 1
    assert len(await receiver.live()) == 1


@pytest.mark.parametrize(
    "answer",
    [(500, {}, b""), (302, {"Location": "/other"}, b""), (200, {}, b" " * 300_000), (200, {}, b"[" * 100_000)],
    ids=["down", "elsewhere", "huge", "nested"],
)
async def test_an_event_whose_keys_cannot_be_had_is_503_and_ends_nothing(
    answer: Any, receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in()
    transmitter.answer = lambda: answer
    for told in (
        await receiver.push(transmitter.event()),
        await receiver.revoke(transmitter.order(), transmitter.iss_sub()),
    ):
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert transmitter.asked == 2, "and nothing else was fetched: each receiver asked once"
    assert len(await receiver.live()) == 1
