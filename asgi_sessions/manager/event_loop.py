"""The asyncio event loop that runs here; an error that says what to do where none does."""

import asyncio

from asgi_sessions.errors import ConfigurationError

_NO_ASYNCIO = (
    "No asyncio event loop runs here, and asgi_sessions needs one: the database drivers know no other. Under trio use "
    "the server's or the test's asyncio backend, `hypercorn -k asyncio`, `TestClient(app)`."
)


def running_loop() -> asyncio.AbstractEventLoop:
    """As `asyncio.get_running_loop`.

    Raises:
        ConfigurationError: There is none: under trio, or on a thread without a loop.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(_NO_ASYNCIO) from None
