"""The example application under a real server, and somebody who visits it as a browser would."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2

from tests.servers import free_port

PROJECT = Path(__file__).parents[2]
START_SECONDS = 60.0
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Site:
    """A running uvicorn; ``close()`` ends it.

    Attributes:
        port: On 127.0.0.1.
        log: What the server has written.
    """

    def __init__(self, folder: Path, port: int | None = None, /, *, workers: int = 1, **environment: str) -> None:
        self.port = port or free_port()
        self.log = folder / "uvicorn.log"
        arguments = ["example_app.main:app", "--port", str(self.port), "--workers", str(workers)]
        # On a busy machine a worker needs longer than 5 s to its first sign of life, and is not to be killed for it.
        arguments += ["--timeout-worker-healthcheck", "60"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *arguments],
                cwd=folder,
                env=_clean_environment() | {"PYTHONPATH": str(PROJECT)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_for(workers)
        except BaseException:
            self.close()
            raise

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        # Its own process group: uvicorn's workers and the resource tracker go with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=20)

    def _wait_for(self, workers: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.log.read_text(errors="replace").count("Application startup complete") >= workers:
                with contextlib.suppress(httpx2.TransportError):
                    httpx2.get(f"{self.url()}/static/style.css")
                    return
            time.sleep(0.05)
        raise RuntimeError(f"The example did not start:\n{self.log.read_text(errors='replace')[-3000:]}")


class Visitor:
    """A browser as far as forms and cookies go: it keeps Secure cookies on 127.0.0.1 and says where a form was.

    Attributes:
        cookies: By name.
    """

    def __init__(self, site: Site, user_agent: str = FIREFOX) -> None:
        self.cookies: dict[str, str] = {}
        self._site = site
        self._client = httpx2.Client(base_url=site.url(), headers={"User-Agent": user_agent}, timeout=30)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, form: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        return self.send("POST", path, data=form or {}, **options)

    def send(self, method: str, path: str, *, headers: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """One request, with the cookies and headers of a page of this site; redirects are not followed."""
        sent = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        if method != "GET":
            sent = {"Origin": self._site.url(), **sent}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self._client.request(method, path, headers=sent, **options)
        self._client.cookies.clear()
        for header in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.cookies.pop(name, None)
                if morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        return response

    def close(self) -> None:
        self._client.close()

    def sign_up(self, name: str, password: str = "correct horse") -> httpx2.Response:
        return self.post("/sign-up", {"name": name, "password": password})

    def sign_in(self, name: str, password: str = "correct horse", **fields: str) -> httpx2.Response:
        return self.post("/sign-in", {"name": name, "password": password, **fields})

    @property
    def is_signed_in(self) -> bool:
        return self.get("/").status_code == 200


@contextlib.contextmanager
def running_site(folder: Path, port: int | None = None, /, *, workers: int = 1, **environment: str) -> Iterator[Site]:
    site = Site(folder, port, workers=workers, **environment)
    try:
        yield site
    finally:
        site.close()


def _clean_environment() -> dict[str, str]:
    ours = ("ASGI_SESSIONS_", "EXAMPLE_")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
