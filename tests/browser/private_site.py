"""A site with a private page, which notes what browsers ask it, and somebody who uses it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from selenium.common import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from asgi_sessions import SessionManager, SessionSettings, get_optional_session
from asgi_sessions.testing import MovableClock
from tests.patience import PATIENCE
from tests.reference.http_app import Server

HOST = "shop.localhost"
PAGE = "<!doctype html><title>A page</title>{more}<h1>{heading}</h1><a id=to href=/private>on</a>"
FETCH = """
const done = arguments[arguments.length - 1];
fetch(arguments[0], {method: arguments[1]}).then(answer => answer.text().then(text => done([answer.status, text])));
"""


class Asked(NamedTuple):
    """One request for a page, as the server saw it."""

    path: str
    purpose: str | None
    site: str | None
    status: int


class PrivateSite:
    """Serves by TLS, under a host name of its own, or by plain http.

    Attributes:
        asked: What browsers have asked for.
        clock: The server's time.
    """

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None, settings: dict[str, Any]) -> None:
        self.asked: list[Asked] = []
        self.clock = MovableClock()
        given = {"database_url": f"sqlite+aiosqlite:///{folder / 'sessions.db'}", "revocation_check": "database"}
        self._server = Server(
            SessionSettings(**given, **settings), self.clock, more=self._add_pages, certificate=certificate
        )

    def address(self, path: str, host: str = HOST) -> str:
        return self._server.url.replace("127.0.0.1", host) + path

    def times_asked(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    def close(self) -> None:
        self._server.close()

    def _add_pages(self, app: FastAPI, sessions: SessionManager) -> None:
        @app.middleware("http")
        async def note(request: Request, following: Callable[..., Any]) -> Any:
            response = await following(request)
            headers = request.headers
            named = headers.get("sec-purpose"), headers.get("sec-fetch-site")
            self.asked.append(Asked(request.url.path, *named, response.status_code))
            return response

        @app.get("/public")
        async def public() -> Response:
            return HTMLResponse(PAGE.format(heading="Public", more=""))

        @app.get("/log-in")
        async def log_in(request: Request) -> Response:
            session = await sessions.create_new_session(request, "alice")
            return HTMLResponse(PAGE.format(heading=f"Hello {session.user_id}", more=""))

        @app.get("/private")
        @app.get("/private/too")
        async def private(request: Request) -> Response:
            session = await get_optional_session(request)
            heading = "Signed out" if session is None else f"Private of {session.user_id}"
            return HTMLResponse(PAGE.format(heading=heading, more=""))

        @app.get("/ahead/{how}")
        async def ahead(how: str) -> Response:
            rules = f'{{"{how}": [{{"urls": ["/private"], "eagerness": "immediate"}}]}}'
            return HTMLResponse(PAGE.format(heading="Ahead", more=f"<script type=speculationrules>{rules}</script>"))

        @app.get("/echo")
        async def echo(request: Request) -> Response:
            return PlainTextResponse(request.headers.get("cookie", ""))

        @app.get("/answer")
        @app.post("/answer")
        async def answer(request: Request) -> Response:
            """Answers with the headers that its query names."""
            response = HTMLResponse(PAGE.format(heading=f"Answer {len(self.asked)}", more=""))
            for name, value in request.query_params.multi_items():
                response.headers.append(name, value)
            return response


class Visitor:
    """Uses one browser at the site.

    Attributes:
        browser: Of any engine.
        site: The site.
    """

    def __init__(self, browser: WebDriver, site: PrivateSite) -> None:
        self.browser = browser
        self.site = site
        # A page that goes while it is looked at is told as one of several errors; the next look sees the next page.
        self._wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))

    def opens(self, path: str) -> None:
        self.browser.get(self.site.address(path))

    def logs_in(self) -> None:
        self.opens("/log-in")
        self.sees("Hello alice")

    def goes_back(self) -> None:
        self.browser.execute_script("history.back()")

    def follows_the_link(self) -> None:
        self.browser.execute_script("document.getElementById('to').click()")

    def asks(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Let a script of the page ask."""
        status, text = self.browser.execute_async_script(FETCH, path, method)
        return int(status), str(text)

    def logs_out(self) -> None:
        assert self.asks("/auth/signout", "POST")[0] == 200

    def sees(self, heading: str) -> None:
        self._wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "h1"), heading))

    def is_at(self, path: str) -> None:
        self._wait.until(condition.url_to_be(self.site.address(path)))

    def reads(self, text: str) -> None:
        self._wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "body"), text))

    def waits_until(self, true: Callable[[], object]) -> None:
        self._wait.until(lambda _: true())

    def finds(self, found: Callable[[], Asked | None]) -> Asked:
        """Wait for a request."""
        asked = self._wait.until(lambda _: found())
        assert asked is not None
        return asked
