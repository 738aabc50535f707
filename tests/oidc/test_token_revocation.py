"""A request to revoke ends all sessions of a subject; a token orders one thing, and counts for nobody else."""

import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from asgi_sessions import SessionManager
from tests.oidc.conftest import Receiver
from tests.oidc.openid_provider import CLIENT_ID
from tests.oidc.transmitter import ENDPOINT, GTR, REVOKED, Transmitter

Make = Callable[[Transmitter], str | None]
EMAIL = {"format": "email", "email": "ada@example.com"}


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_all_sessions_of_the_subject_end_and_no_others(
    framework: str, sessions: SessionManager, transmitter: Transmitter
) -> None:
    receiver = Receiver(sessions, transmitter, framework)
    async with receiver.client:
        await receiver.log_in(sid="laptop")
        await receiver.log_in(sid=None)
        hers = await receiver.log_in("grace", sub="grace")
        by_password = await sessions.create_new_session_without_request("ada")
        answer = await receiver.revoke(transmitter.order(), transmitter.iss_sub())
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
        assert "set-cookie" not in answer.headers
        assert await receiver.live() == [by_password.session.session_handle]
        assert await receiver.live("grace") == [hers]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"])
@pytest.mark.parametrize("kind", [GTR, f"application/{GTR}", "JWT", None])
async def test_each_algorithm_and_type(
    algorithm: str, kind: str | None, receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in()
    token = transmitter.order(algorithm=algorithm, header={"typ": kind}, aud=["somebody", ENDPOINT], nbf=None)
    answer = await receiver.revoke(token, transmitter.iss_sub(), more="that nobody knows")
    assert answer.status_code == 204
    assert await receiver.live() == []


async def test_whom_the_application_knows_and_whom_not(sessions: SessionManager, transmitter: Transmitter) -> None:
    async def by_email(subject: Any) -> str | None:
        return {"ada@example.com": "ada"}.get(subject.get("email"))

    receiver = Receiver(sessions, transmitter, subject=by_email)
    async with receiver.client:
        await sessions.create_new_session_without_request("ada")
        unknown = await receiver.revoke(transmitter.order(), EMAIL | {"email": "grace@example.com"})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
        assert len(await receiver.live()) == 1
        assert (await receiver.revoke(transmitter.order(), EMAIL)).status_code == 204
        assert await receiver.live() == []


@pytest.mark.parametrize(
    ("subject", "status"),
    [
        ({"format": "iss_sub", "iss": "https://evil.example", "sub": "ada"}, 403),
        (EMAIL, 400),
        ({"format": "opaque", "id": "session-1"}, 400),
        ({"format": "of ours", "id": "ada"}, 400),
        ({"format": "iss_sub", "sub": "ada"}, 400),
        ({"format": "email"}, 400),
        ("ada", 400),
        (None, 400),
    ],
)
async def test_subjects_that_are_not_understood_or_not_the_issuers(
    subject: Any, status: int, receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in()
    answer = await receiver.revoke(transmitter.order(), subject)
    assert answer.status_code == status
    assert answer.json()["error_description"]
    assert len(await receiver.live()) == 1


async def test_a_token_orders_one_thing_on_all_workers(receiver: Receiver, transmitter: Transmitter) -> None:
    token = transmitter.order()
    assert (await receiver.revoke(token, transmitter.iss_sub())).status_code == 204
    hers = await receiver.log_in("grace", sub="grace")
    again = await receiver.log_in()
    other_worker = Receiver(receiver.sessions, transmitter)
    async with other_worker.client:
        assert (await other_worker.revoke(token, transmitter.iss_sub())).status_code == 204
        refused = await other_worker.revoke(token, transmitter.iss_sub("grace"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert await receiver.live() == [again]
    assert await receiver.live("grace") == [hers]


def of(**changes: Any) -> Make:
    return lambda transmitter: transmitter.order(**changes)


def odd(**header: Any) -> Make:
    return lambda transmitter: transmitter.odd({"typ": GTR, **header}, claims=transmitter.order_claims())


def _by_the_public_key(transmitter: Transmitter) -> str:
    secret = transmitter.keys["RS256"].as_pem(private=False)
    claims = transmitter.order_claims()
    return transmitter.odd({"typ": GTR, "alg": "HS256"}, lambda data: hmac.digest(secret, data, "sha256"), claims)


def _id_token(transmitter: Transmitter) -> str:
    claims = transmitter.order_claims(nonce="n-0S6_WzA2Mj", aud=[ENDPOINT, CLIENT_ID])
    return transmitter.signed(json.dumps(claims), header={"typ": "JWT"})


TOKENS: dict[str, Make] = {
    "no header": lambda _: None,
    "no token": lambda _: "a.b.c",
    "an opaque token": lambda _: "f5641763544a7b24b08e4f74045",
    "an empty token": lambda _: "",
    "not signed": odd(alg="none"),
    "signed by a secret that is public": _by_the_public_key,
    "an algorithm that is not allowed": odd(alg="RS512"),
    "a key that nobody has": odd(kid="unknown"),
    "a critical extension": odd(crit=["exp"]),
    "of another key by the same name": lambda t: t.order(key=RSAKey.generate_key(2048, {"kid": "rsa"})),
    "another issuer": of(iss="https://evil.example"),
    "no issuer": of(iss=None),
    "another audience": of(aud="https://shop.example/"),
    "our client id": of(aud=CLIENT_ID),
    "no audience": of(aud=None),
    "no subject": of(sub=None),
    "a subject that is a number": of(sub=7),
    "no time of issue": of(iat=None),
    "issued in an hour": of(iat=1_800_003_600, exp=1_800_003_599),
    "no expiry": of(exp=None),
    "an expiry that is a text": of(exp="1800000120"),
    "expired": of(exp=1_799_999_900),
    "valid for a day": of(exp=1_800_086_400),
    "not valid yet": of(nbf=1_800_000_120),
    "no jti": of(jti=None),
    "a jti that is a number": of(jti=7),
    "an ID token": _id_token,
    "a logout token": lambda t: t.logout_token(aud=ENDPOINT),
    "a logout token of no type": lambda t: t.logout_token(aud=ENDPOINT, header={"typ": None}),
    "a security event token": lambda t: t.event(aud=ENDPOINT),
    "events": of(events={REVOKED: {}}),
    "an access token": of(header={"typ": "at+jwt"}),
    "an access token of the type of any": of(header={"typ": "JWT"}, scope="openid"),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_what_is_no_token_for_this_is_401_and_ends_nothing(
    name: str, receiver: Receiver, transmitter: Transmitter, recwarn: pytest.WarningsRecorder
) -> None:
    await receiver.log_in()
    token = TOKENS[name](transmitter)
    recwarn.clear()
    answer = await receiver.revoke(token, transmitter.iss_sub())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert re.fullmatch(
        r'Bearer error="invalid_token", error_description="[A-Z][^"\\]+\."', answer.headers["www-authenticate"]
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert len(await receiver.live()) == 1


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "bearer-less", "Bearer a b"])
async def test_what_is_no_bearer_token(header: str, receiver: Receiver) -> None:
    answer = await receiver.client.post("/auth/global-token-revocation", json={}, headers={"authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"subject": {"format": "opaque", "id": "ada"}}', "application/json", 400),
        (b'{"sub_id": {"format": "opaque", "id": "a", "id": "b"}}', "application/json", 400),
        (b'{"sub_id": {"format": "opaque", "id": "\\ud800"}}', "application/json", 400),
        (b'{"sub_id": \xff}', "application/json", 400),
        (b'{"sub_id": ' * 5000 + b"1" + b"}" * 5000, "application/json", 400),
        (b"[" * 65_000, "application/json", 400),
        (b'{"sub_id": "' + b"a" * 1_000_000 + b'"}', "application/json", 413),
        (b"sub_id=ada", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
    ],
)
async def test_what_is_no_json_object_with_a_subject(
    body: bytes, kind: str, status: int, receiver: Receiver, transmitter: Transmitter
) -> None:
    headers = {"authorization": f"Bearer {transmitter.order()}", "content-type": kind}
    answer = await receiver.client.post("/auth/global-token-revocation", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    assert "set-cookie" not in answer.headers


async def test_only_a_post_will_do(receiver: Receiver) -> None:
    assert (await receiver.client.get("/auth/global-token-revocation")).status_code == 405
