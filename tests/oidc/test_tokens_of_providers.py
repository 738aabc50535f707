"""Logout tokens of the shapes that providers are known to send, docs/federated-logout.md: each ends its session."""

from typing import Any

import pytest

from tests.clocks import MovableClock
from tests.oidc.conftest import Site
from tests.oidc.openid_provider import CLIENT_ID, OpenIDProvider

LEFT_OUT: dict[str, Any] = {"exp": None, "sub": None}
TOKENS: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "Keycloak since 2024": ({"typ": "logout+jwt"}, {}),
    "Keycloak before": ({"typ": "JWT"}, {}),
    "the claims of Ory Hydra": ({"typ": "JWT"}, {"aud": [CLIENT_ID], **LEFT_OUT}),
    "the claims of authentik 2025.8.1": ({"typ": "JWT"}, {"exp": None}),
    "no type": ({"typ": None}, {}),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_it_ends_the_session_and_counts_once(name: str, site: Site, provider: OpenIDProvider) -> None:
    header, changes = TOKENS[name]
    await site.log_in()
    token = provider.logout_token(header=header, **changes)
    assert (await site.post(token)).status_code == 200
    assert await site.live() == []
    assert (await site.post(token)).status_code == 400


async def test_without_an_expiry_it_counts_for_two_minutes_and_what_clocks_may_differ_by(
    site: Site, provider: OpenIDProvider, clock: MovableClock
) -> None:
    tokens = [provider.logout_token(sid=sid, exp=None) for sid in ("early", "late")]
    for sid in ("early", "late"):
        await site.log_in(sid=sid)
    clock.advance(seconds=179)
    assert (await site.post(tokens[0])).status_code == 200
    clock.advance(seconds=1)
    answer = await site.post(tokens[1])
    assert (answer.status_code, answer.json()["error_description"]) == (400, "It has expired.")
    assert len(await site.live()) == 1
