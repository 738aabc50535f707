"""Gradio with the code of docs/frameworks.md: event handlers run when their request is over, and know the session."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asgi_sessions import SessionManager
from asgi_sessions.protocol.cookies import ACCESS_COOKIE, REFRESH_COOKIE
from asgi_sessions.testing import MovableClock
from tests.asgi.connections import login_cookie
from tests.frameworks.sites import PATIENCE, blocks_under, pasted, served
from tests.installed import installed

LIFETIME = 301.0
HANDLERS = ["greet", "greet_from_a_thread"]

# Gradio's event handlers answer with it as with any error: on Python 3.14 it asks in the way that 3.16 will not know.
pytestmark = pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def site(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", "sqlite+aiosqlite://")
    installed("gradio", extra="frameworks")
    [block] = blocks_under("Gradio")
    module: Any = pasted(block, "shop.page")
    module.sessions.clock = clock
    async with served(module.app) as module.port:
        yield module


class Visitor:
    """Calls event handlers as Gradio's own client does: one request queues a call, another hears what became of it."""

    def __init__(self, site: Any, cookie: str) -> None:
        self._address = f"http://127.0.0.1:{site.port}/page/gradio_api/call/"
        self._headers = {"cookie": cookie}
        self.queued: httpx.Response

    async def call(self, handler: str, argument: str) -> str:
        """What became of it; the status where it was not queued."""
        async with httpx.AsyncClient(headers=self._headers, timeout=PATIENCE) as http:
            self.queued = await http.post(self._address + handler, json={"data": [argument]})
            if self.queued.status_code != 200:
                return str(self.queued.status_code)
            answer = await http.get(f"{self._address}{handler}/{self.queued.json()['event_id']}")
        return answer.text


@pytest.mark.parametrize("handler", HANDLERS)
async def test_an_event_handler_knows_who_has_called_it(site: Any, handler: str) -> None:
    _, cookie = await login_cookie(site.sessions)
    answer = await Visitor(site, cookie).call(handler, "Bob")
    assert answer == 'event: complete\ndata: ["Hello Bob, says alice"]\n\n'


async def test_nobody_is_refused(site: Any) -> None:
    assert await Visitor(site, "").call("greet", "Bob") == "401"


async def test_new_tokens_leave_with_the_request_that_queues(site: Any, clock: MovableClock) -> None:
    sessions: SessionManager = site.sessions
    _, cookie = await login_cookie(sessions)
    clock.advance(LIFETIME)
    visitor = Visitor(site, cookie)
    assert "says alice" in await visitor.call("greet", "Bob")
    names = {cookie.partition("=")[0] for cookie in visitor.queued.headers.get_list("set-cookie")}
    assert names == {f"__Host-{ACCESS_COOKIE}", f"__Host-{REFRESH_COOKIE}"}
