"""Makes a worker look for revocations now, as it would within ``revocation_poll_interval``: no test waits for that."""

from asgi_sessions import SessionManager
from asgi_sessions.revocation.feed import RevocationFeed


def feed_of(manager: SessionManager) -> RevocationFeed:
    """The feed of a manager that runs on this event loop."""
    feed = manager.lifecycle._feed
    assert feed is not None
    return feed


async def poll(*managers: SessionManager) -> None:
    """Let these workers hear of what others have ended."""
    for manager in managers:
        await feed_of(manager).poll()


async def stop_polling(manager: SessionManager) -> RevocationFeed:
    """Leave a worker without polls but those that a test makes; `Runtime.close` may stop it again."""
    feed = feed_of(manager)
    await feed.stop()
    return feed


def grow_old(manager: SessionManager, seconds: float) -> None:
    """Make a worker's news so much older. A poll that succeeds brings new ones."""
    feed = feed_of(manager)
    since = feed._monotonic
    feed._monotonic = lambda: since() + seconds
