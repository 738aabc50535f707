"""HTTP as a browser speaks it, with a cookie jar: one connection for each request.

Written out because thousands of requests share a small machine with the server; a client library takes longer for a
request than the server does.
"""

import asyncio
import http.client
import io
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

from tests.patience import PATIENCE


class LostError(Exception):
    """The connection ended without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: The code.
        body: The JSON in it.
        headers: Without regard to case.
    """

    status: int
    body: Any
    headers: Message

    @property
    def told_to_refresh(self) -> bool:
        return self.status == 401 and self.body["code"] == "try_refresh_token"

    def info(self) -> Message:
        """The headers, as ``CookieJar`` asks for them."""
        return self.headers


def new_jar() -> CookieJar:
    """A jar that keeps Secure cookies: browsers take http on this machine for trustworthy."""
    return CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))


class Sending:
    """One request, made from what is in the jar now.

    Raises:
        LostError: By ``reply``.
    """

    def __init__(self, jar: CookieJar, port: int, method: str, path: str, headers: Mapping[str, str]) -> None:
        origin = f"http://127.0.0.1:{port}"
        self._jar = jar
        self._port = port
        self._request = urllib.request.Request(origin + path, method=method)
        jar.add_cookie_header(self._request)
        sent = {
            "Host": f"127.0.0.1:{port}",
            "Origin": origin,
            "Sec-Fetch-Site": "same-origin",
            "Content-Length": "0",
            "Connection": "close",
            **dict(self._request.header_items()),
            **headers,
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        self._data = "\r\n".join(lines).encode("latin-1")

    async def reply(self) -> Reply:
        """Send it, wait for the answer, and put the answer's cookies into the jar."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(self._data)
                    data = await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            data = b""
        if not data:
            raise LostError
        answer = io.BytesIO(data)
        status = int(answer.readline().split(b" ")[1])
        headers = http.client.parse_headers(answer)
        reply = Reply(status, json.loads(answer.read()), headers)
        self._jar.extract_cookies(cast(http.client.HTTPResponse, reply), self._request)
        return reply
