"""The asyncio event loop that runs here; errors that say what to do where it is another one, or none."""

import asyncio
from asyncio import _get_running_loop as loop_or_none  # asyncio exports it, in spite of its name

from asgi_sessions.errors import ConfigurationError

__all__ = ["OTHER_LOOP", "loop_or_none", "require_loop", "running_loop"]

OTHER_LOOP = (
    "The SessionManager runs on another event loop than this code. In a plain `def` route, or another thread, "
    "`asyncio.run` and `async_to_sync` begin a loop of their own: write `async def` and `await`, or call "
    "`anyio.from_thread.run(function, *arguments)`. In a test: `client.portal.call(function, *arguments)`."
)
_NO_ASYNCIO = (
    "No asyncio event loop runs here, and asgi_sessions needs one: the database drivers know no other. Under trio use "
    "the server's or the test's asyncio backend, `hypercorn -k asyncio`, `TestClient(app)`."
)


def running_loop() -> asyncio.AbstractEventLoop:
    """As `asyncio.get_running_loop`.

    Raises:
        ConfigurationError: There is none: under trio, or on a thread without a loop.
    """
    loop = loop_or_none()
    if loop is None:
        raise ConfigurationError(_NO_ASYNCIO)
    return loop


def require_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Let pass who runs on this event loop.

    Raises:
        ConfigurationError: Another one runs here, or none: under trio, or on a thread without a loop.
    """
    if loop_or_none() is not loop:
        raise ConfigurationError(OTHER_LOOP)
