"""Somebody who signs up at the example application, as a browser on http://localhost would."""

import contextlib
import http.client
import urllib.parse
from http.cookies import SimpleCookie


def greeting(port: int, name: str) -> str | None:
    """Sign up under a name, and return the page that follows; None while nobody answers.

    Raises:
        ValueError: An answer was not as it should be; the message says which.
    """
    cookies: dict[str, str] = {}
    with contextlib.suppress(ConnectionError):
        _request(port, "GET", "/sign-up", cookies)
        form = urllib.parse.urlencode({"name": name, "password": "correct horse"})
        _request(port, "POST", "/sign-up", cookies, form)
        page = _request(port, "GET", "/", cookies)
        if f"Hello {name}" not in page:
            raise ValueError(f"/ does not greet {name}")
        return page
    return None


def _request(port: int, method: str, path: str, cookies: dict[str, str], form: str | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "Origin": f"http://127.0.0.1:{port}",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
    }
    with contextlib.closing(connection):
        connection.request(method, path, form, headers)
        response = connection.getresponse()
        expected = 303 if method == "POST" else 200
        if response.status != expected:
            raise ValueError(f"{method} {path} was answered with {response.status}")
        # A browser keeps Secure cookies on this host; Python's own cookie jar does not.
        for line in response.headers.get_all("Set-Cookie", []):
            cookies.update({morsel.key: morsel.value for morsel in SimpleCookie(line).values()})
        return response.read().decode()
