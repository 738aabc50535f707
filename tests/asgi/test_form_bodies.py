"""How a request says for which session its form was made: what is read of its body, and what the route still gets."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from asgi_sessions import (
    SessionManager,
)
from asgi_sessions.asgi.form_tags import LARGEST_FORM
from tests.asgi.conftest import OpenClient
from tests.asgi.form_apps import FORM, NewApp, in_fastapi, in_starlette, is_refused, tag_of

# -- reading the form takes it from nobody


def test_the_route_may_read_the_body_afterwards(form_client: TestClient) -> None:
    body = f"form_tag={tag_of(form_client)}&text=x".encode()
    assert form_client.post("/body", content=body, headers=FORM).json() == {"user": "alice", "bytes": len(body)}


def test_a_form_that_was_read_before_counts(form_client: TestClient) -> None:
    fields = {"form_tag": tag_of(form_client), "text": "x"}
    for options in ({"data": fields}, {"data": fields, "files": {"file": b"x"}}):
        assert form_client.post("/before", **options).json() == {"user": "alice", "text": "x"}
    assert is_refused(form_client.post("/before", data={"form_tag": "x", "text": "x"}))


def test_a_form_that_fastapi_has_read_may_be_of_any_size(fastapi_form_client: TestClient) -> None:
    file = b"x" * (LARGEST_FORM + 1)
    response = fastapi_form_client.post("/upload", data={"form_tag": tag_of(fastapi_form_client)}, files={"text": file})
    assert response.json() == {"user": "alice", "bytes": len(file)}


def test_a_body_that_fastapi_has_read_as_json_leaves_the_header(fastapi_form_client: TestClient) -> None:
    tag = tag_of(fastapi_form_client)
    accepted = fastapi_form_client.post("/json", json={"a": 1}, headers={"Form-Tag": tag})
    assert accepted.json() == {"user": "alice", "a": 1}
    assert is_refused(fastapi_form_client.post("/json", json={"form_tag": tag}))


def test_routes_of_plain_def_are_guarded_too(fastapi_form_client: TestClient) -> None:
    tag = tag_of(fastapi_form_client)
    assert fastapi_form_client.post("/plain-def", data={"form_tag": tag}).json() == {"user": "alice"}
    assert is_refused(fastapi_form_client.post("/plain-def"))


@pytest.mark.parametrize("path", ["/stream", "/scope", "/no-receive"])
def test_where_the_form_cannot_be_read_the_header_counts(starlette_form_client: TestClient, path: str) -> None:
    tag = tag_of(starlette_form_client)
    assert is_refused(starlette_form_client.post(path, data={"form_tag": tag}))
    assert starlette_form_client.post(path, data={"form_tag": tag}, headers={"Form-Tag": tag}).status_code == 200


# -- bad and large bodies


def multipart(name: str = 'form-data; name="form_tag"', tag: str = "", end: str = "--x--\r\n") -> bytes:
    return f"--x\r\nContent-Disposition: {name}\r\n\r\n{tag}\r\n{end}".encode()


BROKEN: list[tuple[str, bytes]] = [
    ("multipart/form-data", multipart()),
    ("multipart/form-data; boundary=", multipart()),
    ("multipart/form-data; boundary=y", multipart()),
    ("multipart/form-data; boundary=x", b""),
    ("multipart/form-data; boundary=x", b"--x"),
    ("multipart/form-data; boundary=x", b"\r\n" * 1000),
    ("multipart/form-data; boundary=x", multipart("form-data")),
    ("multipart/form-data; boundary=x", multipart("nonsense")),
    ("multipart/form-data; boundary=x", multipart(end="")),
    ("multipart/form-data; boundary=x; charset=nonsense", multipart()),
    ("multipart/form-data; boundary=x", multipart(tag="x" * (LARGEST_FORM - 200))),
    ("multipart/form-data; boundary=x", multipart(end="") * 1001 + b"--x--\r\n"),
    ("multipart/form-data; boundary=\xff", multipart()),
    ("application/x-www-form-urlencoded", b"\xff=%ff&form_tag=%f"),
    ("application/x-www-form-urlencoded", b"&" * 1001 + b"form_tag="),
    ("application/x-www-form-urlencoded", b"form_tag"),
    ("application/x-www-form-urlencoded; charset=nonsense", b"form_tag=x"),
    ("application/json", b"{"),
    ("", b"form_tag="),
    (";", b"form_tag="),
    ("text/plain", b"form_tag="),
]


@pytest.mark.parametrize(("content_type", "body"), BROKEN)
def test_what_is_no_form_is_refused_and_never_an_error(form_client: TestClient, content_type: str, body: bytes) -> None:
    headers = {b"content-type": content_type.encode("latin-1")}
    assert is_refused(form_client.post("/body", content=body, headers=headers))


def test_the_same_boundary_and_charset_pass_where_they_are_right(form_client: TestClient) -> None:
    tag = tag_of(form_client)
    for content_type in ("multipart/form-data; boundary=x", "multipart/form-data;boundary=x"):
        response = form_client.post("/body", content=multipart(tag=tag), headers={"content-type": content_type})
        assert response.status_code == 200
    for content_type in ("application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/x-www-form-urlencoded"):
        response = form_client.post("/body", content=f"form_tag={tag}", headers={"content-type": content_type})
        assert response.status_code == 200


@pytest.mark.parametrize("files", [None, {"file": b"x"}], ids=["urlencoded", "multipart"])
@pytest.mark.parametrize("too_many", [0, 1])
def test_a_form_has_up_to_a_thousand_fields(form_client: TestClient, files: Any, too_many: int) -> None:
    fields = {"form_tag": tag_of(form_client), "x": ["x"] * (999 + too_many)}
    response = form_client.post("/body", data=fields, files=files)
    assert is_refused(response) if too_many else response.status_code == 200


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
@pytest.mark.parametrize("too_many", [0, 1])
def test_a_body_counts_up_to_its_bound(form_client: TestClient, kind: str, too_many: int) -> None:
    tag = tag_of(form_client)
    if kind == "urlencoded":
        body, content_type = f"form_tag={tag}&x=".encode(), "application/x-www-form-urlencoded"
        body += b"x" * (LARGEST_FORM + too_many - len(body))
    else:
        content_type = "multipart/form-data; boundary=x"
        head = multipart(tag=tag, end="") + b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        tail = b"\r\n--x--\r\n"
        body = head + b"x" * (LARGEST_FORM + too_many - len(head) - len(tail)) + tail
    assert len(body) == LARGEST_FORM + too_many
    response = form_client.post("/body", content=body, headers={"content-type": content_type})
    assert is_refused(response) if too_many else response.json()["bytes"] == len(body)
    assert form_client.post("/body", content=body, headers={"content-type": content_type, "Form-Tag": tag}).json() == {
        "user": "alice",
        "bytes": len(body),
    }


class Read:
    """Notes how much of a request's body the application has taken, and may end it early."""

    def __init__(self, app: Any, *, gone: bool = False) -> None:
        self._app = app
        self._gone = gone
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted() -> Any:
            message = await receive()
            if scope.get("path") == "/body":
                self.taken += len(message.get("body", b""))
                if self._gone:
                    return {"type": "http.disconnect"}
            return message

        await self._app(scope, noted, send)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": str(LARGEST_FORM + 1)},
        {"content-length": "9" * 5000},
        {"content-length": "-1"},
        {"content-length": "\u0661".encode()},
        {"content-length": "1", "transfer-encoding": "chunked"},
        {"transfer-encoding": "chunked"},
        {"content-type": "application/json"},
    ],
    ids=str,
)
@pytest.mark.parametrize("new_app", [in_starlette, in_fastapi])
def test_of_a_body_of_unknown_size_nothing_is_read(
    new_app: NewApp, headers: dict[str, Any], sessions: SessionManager, open_client: OpenClient
) -> None:
    app = Read(new_app(sessions))
    client = open_client(app)
    client.post("/login")

    sent = f"form_tag={tag_of(client)}".encode()

    def body() -> Any:
        yield sent

    assert is_refused(client.post("/body", content=body(), headers={**FORM, **headers}))
    assert app.taken == 0


@pytest.mark.parametrize("new_app", [in_starlette, in_fastapi])
def test_a_client_that_goes_away_is_no_error(
    new_app: NewApp, sessions: SessionManager, open_client: OpenClient
) -> None:
    client = open_client(Read(new_app(sessions), gone=True))
    client.post("/login")
    assert is_refused(client.post("/body", data={"form_tag": "x"}))
