"""A signing_key_provider that fails is a 503 for whoever needs it."""

import pytest

from tests.asgi.apps import ACCESS, Jar, application, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


@pytest.mark.parametrize(("method", "path"), [("GET", "/me"), ("POST", "/login")])
def test_a_failing_key_provider_is_a_503_and_the_log_says_so(
    method: str, path: str, open_client: OpenClient, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    works = [True]

    async def provide() -> str:
        if not works:
            raise OSError
        return "0123456789abcdef0123456789abcdef-provided"

    foreign = Jar().take(open_client(application(new_manager(clock))).post("/login"))
    jar = Jar({ACCESS: foreign.cookies[ACCESS]}) if path == "/me" else Jar()
    client = open_client(
        application(new_manager(clock, signing_key_provider=provide)),
        raise_server_exceptions=False,
    )
    works.clear()
    assert client.request(method, path, headers=jar.header).status_code == 503
    assert "Answered 503. The signing key provider failed." in caplog.messages
