"""Tokens that npm's `jose` has made count as those of joserfc do: each kind, by each algorithm."""

from pathlib import Path
from typing import Any

import pytest

from asgi_sessions import SessionManager
from tests.oidc import node_jose
from tests.oidc.conftest import Receiver, Site, starlette_app
from tests.oidc.transmitter import CAEP, GTR, REVOKED, RISC, SET, SSF, Transmitter

ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"]


@pytest.fixture(scope="session")
def jose(npm: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = getattr(request.config, "cache", None)  # a plugin of pytest's, which can be left out
    return node_jose.fetched(npm, tmp_path_factory.mktemp("jose") if cache is None else cache.mkdir("jose"))


class Jose:
    """Signs what the transmitter would."""

    def __init__(self, node: str, folder: Path, transmitter: Transmitter) -> None:
        self._node = node
        self._folder = folder
        self._transmitter = transmitter

    def signed(self, kind: str, claims: dict[str, Any], algorithm: str = "RS256") -> str:
        key = self._transmitter.keys["EdDSA" if algorithm == "Ed25519" else algorithm]
        header = {"alg": algorithm, "typ": kind, "kid": key.kid}
        return node_jose.signed(self._node, self._folder, key.as_dict(private=True), header, claims)


@pytest.fixture
def maker(node: str, jose: Path, transmitter: Transmitter) -> Jose:
    return Jose(node, jose, transmitter)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_events(algorithm: str, maker: Jose, receiver: Receiver, transmitter: Transmitter) -> None:
    for kind, event in (
        (REVOKED, {"event_timestamp": 1_800_000_000, "initiating_entity": "admin"}),
        (f"{CAEP}credential-change", {"credential_type": "password", "change_type": "update"}),
        (f"{RISC}account-disabled", {"reason": "hijacking"}),
    ):
        await receiver.log_in()
        token = maker.signed(SET, transmitter.event_claims(kind, event), algorithm)
        assert (await receiver.push(token)).status_code == 202
        assert await receiver.live() == []
    token = maker.signed(SET, transmitter.event_claims(f"{SSF}verification", {"state": algorithm}), algorithm)
    assert (await receiver.push(token)).status_code == 202
    assert receiver.verified == [(transmitter.issuer, algorithm)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_requests_to_revoke(algorithm: str, maker: Jose, receiver: Receiver, transmitter: Transmitter) -> None:
    await receiver.log_in()
    token = maker.signed(GTR, transmitter.order_claims(), algorithm)
    assert (await receiver.revoke(token, transmitter.iss_sub())).status_code == 204
    assert await receiver.live() == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_logout_tokens(algorithm: str, maker: Jose, sessions: SessionManager, transmitter: Transmitter) -> None:
    site = Site(starlette_app(sessions, [transmitter.as_configured()]), sessions, transmitter)
    async with site.client:
        await site.log_in()
        token = maker.signed("logout+jwt", transmitter.claims(), algorithm)
        assert (await site.post(token)).status_code == 200
        assert await site.live() == []


async def test_what_is_changed_afterwards_counts_no_longer(
    maker: Jose, receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in()
    claims = transmitter.event_claims()
    one, another = maker.signed(SET, claims), maker.signed(SET, claims | {"jti": "another"})
    mixed = ".".join([*one.split(".")[:2], another.split(".")[2]])
    answer = await receiver.push(mixed)
    assert (answer.status_code, answer.json()["err"]) == (400, "authentication_failed")
    assert len(await receiver.live()) == 1
