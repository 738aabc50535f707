"""What receivers of signals and revocations are configured with: what cannot be meant is told at once."""

from typing import Any

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.oidc import SSFTransmitter, TokenRevoker, ssf_receiver_routes, token_revocation_routes

VALUES: dict[str, Any] = {"issuer": "https://idp.example", "audience": "us", "jwks_uri": "https://idp.example/jwks"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"issuer": ""}, ValueError),
        ({"jwks_uri": "http://idp.example/jwks"}, ValueError),
        ({"algorithms": ("HS256",)}, ValueError),
        ({"audience": ""}, ValueError),
        ({"audience": []}, ValueError),
        ({"audience": [None]}, TypeError),
        ({"audience": 7}, TypeError),
        ({"subject": lambda subject: None}, TypeError),
        ({"login_issuer": ""}, ValueError),
        ({"authorization": ""}, ValueError),
        ({"authorization": [None]}, TypeError),
        ({"authorization": "Bearer secret\n"}, ValueError),
        ({"authorization": "Bearer g\xe9heim"}, ValueError),
        ({"ends": [7]}, TypeError),
        ({"older_subjects": "no"}, TypeError),
        ({"critical_subject_members": [7]}, TypeError),
    ],
)
def test_a_transmitter_that_cannot_be_meant(changes: dict[str, Any], error: type[Exception]) -> None:
    good = SSFTransmitter(**VALUES, authorization="Bearer secret")
    assert "secret" not in repr(good)
    with pytest.raises(error, match=next(iter(changes))):
        SSFTransmitter(**(VALUES | changes))


@pytest.mark.parametrize("name", ["issuer", "audience", "jwks_uri"])
def test_a_revoker_that_cannot_be_meant(name: str) -> None:
    TokenRevoker(**VALUES)
    with pytest.raises(ValueError, match=name):
        TokenRevoker(**(VALUES | {name: ""}))


def test_receivers_need_a_manager_and_some_senders_each_once() -> None:
    sessions = SessionManager(SessionSettings(database_url="sqlite+aiosqlite://", secret_key="x" * 40))
    transmitter, revoker = SSFTransmitter(**VALUES), TokenRevoker(**VALUES)
    ssf_receiver_routes(sessions, [transmitter])
    token_revocation_routes(sessions, [revoker])
    for routes, argument, one, other in (
        (ssf_receiver_routes, "transmitters", transmitter, revoker),
        (token_revocation_routes, "revokers", revoker, transmitter),
    ):
        make: Any = routes
        for wrong, error in (([], ValueError), ([one, one], ValueError), ([other], TypeError), ([None], TypeError)):
            with pytest.raises(error, match=argument):
                make(sessions, wrong)
        with pytest.raises(TypeError, match="SessionManager"):
            make(None, [one])
    with pytest.raises(TypeError, match="on_stream_verified"):
        ssf_receiver_routes(sessions, [transmitter], on_stream_verified=print)  # type: ignore[arg-type]
