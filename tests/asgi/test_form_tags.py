"""A form acts for whom it was shown to: `require_session(form_tag=True)` on routes of FastAPI and Starlette."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from asgi_sessions import (
    ConfigurationError,
    FormForAnotherSession,
    SessionManager,
    get_session,
    require_session,
)
from asgi_sessions.testing import fake_session
from tests.asgi.apps import LIFETIME, application, cookies_set
from tests.asgi.conftest import OpenClient
from tests.asgi.form_apps import in_starlette, is_refused, shown, tag_of
from tests.clocks import MovableClock

# -- the tag


def test_a_tag_is_short_stays_and_does_not_name_the_session() -> None:
    first, again, other = (fake_session(session_handle=handle * 32) for handle in "aab")
    assert first.form_tag == again.form_tag != other.form_tag
    assert len(first.form_tag) == 16
    assert first.session_handle not in first.form_tag
    assert set(first.form_tag) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_refresh_and_a_further_method_of_authentication_keep_the_tag(
    starlette_form_client: TestClient, clock: MovableClock
) -> None:
    tag = tag_of(starlette_form_client)
    clock.advance(LIFETIME)
    response = starlette_form_client.post("/act", data={"form_tag": tag})
    assert response.status_code == 200
    assert cookies_set(response)  # it was refreshed by the way
    assert tag_of(starlette_form_client) == tag


def test_a_further_method_of_authentication_keeps_the_tag(sessions: SessionManager, open_client: OpenClient) -> None:
    async def confirm(request: Request) -> Response:
        session = await get_session(request)
        before = session.form_tag
        await session.add_authentication_method("otp")
        return JSONResponse([before, session.form_tag])

    client = open_client(application(sessions, Route("/confirm", confirm, methods=["POST"])))
    client.post("/login")
    before, after = client.post("/confirm").json()
    assert before == after == tag_of(client)


# -- who gets through


def test_the_form_of_the_session_passes_and_the_route_reads_it(form_client: TestClient) -> None:
    fields = {"form_tag": tag_of(form_client), "text": "hällo"}
    assert form_client.post("/act", data=fields).json() == {"user": "alice", **fields}
    multipart = form_client.post("/act", data=fields, files={"file": ("a.txt", b"content")})
    assert multipart.json() == {"user": "alice", **fields, "file": "content"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "POKE"])
def test_whatever_changes_something_needs_the_tag(form_client: TestClient, method: str) -> None:
    assert is_refused(form_client.request(method, "/act"))
    assert form_client.request(method, "/act", data={"form_tag": tag_of(form_client)}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_pass_without(form_client: TestClient, method: str) -> None:
    assert form_client.request(method, "/act").status_code == 200


def test_a_form_shown_to_somebody_else_is_refused(form_client: TestClient) -> None:
    tag = tag_of(form_client)
    assert form_client.post("/act", data={"form_tag": tag}).status_code == 200
    form_client.post("/login?user=bob")
    assert is_refused(form_client.post("/act", data={"form_tag": tag}))
    assert form_client.post("/act", data={"form_tag": tag_of(form_client)}).json()["user"] == "bob"


def test_a_form_of_the_same_users_session_before_is_refused(form_client: TestClient) -> None:
    tag = tag_of(form_client)
    form_client.post("/login")
    assert is_refused(form_client.post("/act", data={"form_tag": tag}))


def test_the_header_stands_for_the_field_whatever_the_body_is(form_client: TestClient) -> None:
    tag = tag_of(form_client)
    assert form_client.post("/body", headers={"Form-Tag": tag}).json() == {"user": "alice", "bytes": 0}
    assert form_client.post("/body", headers={"Form-Tag": tag}, json={}).json() == {"user": "alice", "bytes": 2}
    assert is_refused(form_client.post("/body", headers={"Form-Tag": "x"}, data={"form_tag": tag}))
    assert is_refused(form_client.post("/body", headers={"Form-Tag": ""}, data={"form_tag": tag}))
    twice = [("Form-Tag", tag), ("Form-Tag", "x")]
    assert is_refused(form_client.post("/body", headers=twice))


@pytest.mark.parametrize("form", [True, False], ids=["urlencoded", "multipart"])
def test_of_several_fields_every_one_must_be_the_sessions(form_client: TestClient, form: bool) -> None:
    tag = tag_of(form_client)
    files = None if form else {"file": b"x"}
    assert form_client.post("/body", data={"form_tag": [tag, tag]}, files=files).status_code == 200
    for values in ([tag, "x"], ["x", tag], [tag, ""], [""], []):
        assert is_refused(form_client.post("/body", data={"form_tag": values, "other": "x"}, files=files))


def test_a_file_of_that_name_is_no_tag(form_client: TestClient) -> None:
    assert is_refused(form_client.post("/body", files={"form_tag": ("tag.txt", tag_of(form_client).encode())}))


def test_the_address_is_no_place_for_it(form_client: TestClient) -> None:
    assert is_refused(form_client.post(f"/act?form_tag={tag_of(form_client)}"))


# -- beside the other rules


def test_nobody_is_logged_in_as_ever(form_client: TestClient) -> None:
    form_client.cookies.clear()
    assert form_client.post("/act").json()["code"] == "unauthorised"


def test_another_sites_form_is_refused_as_such(form_client: TestClient) -> None:
    response = form_client.post(
        "/act", data={"form_tag": tag_of(form_client)}, headers={"sec-fetch-site": "cross-site"}
    )
    assert (response.status_code, response.json()["code"]) == (403, "csrf_rejected")


@pytest.mark.parametrize("demand", [{"claims": {"role": "admin"}}, {"max_auth_age": 0}, {"allow_actor": False}])
def test_it_comes_before_what_the_session_may_not_do(
    demand: dict[str, Any], sessions: SessionManager, open_client: OpenClient, clock: MovableClock
) -> None:
    required = require_session(form_tag=True, **demand)

    async def act(request: Request) -> Response:
        return JSONResponse({"user": (await required(request)).user_id})

    async def impersonate(request: Request) -> Response:
        await sessions.impersonate(request, "bob", actor=await get_session(request))
        return Response()

    routes = [Route("/act", act, methods=["POST"]), Route("/impersonate", impersonate, methods=["POST"])]
    client = open_client(application(sessions, *routes))
    client.post("/login")
    of_alice = tag_of(client)
    clock.advance(1)
    assert client.post("/impersonate").status_code == 200
    assert is_refused(client.post("/act", data={"form_tag": of_alice}))  # whoever acts has a session of its own
    assert client.post("/act", data={"form_tag": tag_of(client)}).status_code == 403


def test_the_error_names_the_session_that_the_request_has(sessions: SessionManager, open_client: OpenClient) -> None:
    seen: list[str] = []

    async def page(_: Request, error: Exception) -> Response:
        assert isinstance(error, FormForAnotherSession)
        seen.append(error.session_handle)
        return Response("whose page?", 409)

    app = in_starlette(sessions)
    app.add_exception_handler(FormForAnotherSession, page)
    client = open_client(app)
    handle = client.post("/login").json()["handle"]
    assert client.post("/act").text == "whose page?"
    assert seen == [handle]


def test_a_websocket_has_no_form_and_says_so(sessions: SessionManager, open_client: OpenClient) -> None:
    async def socket(websocket: WebSocket) -> None:
        await shown(websocket)

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("wss://testserver/socket"):
        pass  # nobody is logged in
    client.post("/login")
    with pytest.raises(ConfigurationError, match="a WebSocket's handshake has no form"):
        client.websocket_connect("wss://testserver/socket").__enter__()


def test_the_settings_type_is_checked() -> None:
    with pytest.raises(TypeError, match="form_tag"):
        require_session(form_tag="yes")  # type: ignore[arg-type]


def test_who_am_i_tells_the_tag(fastapi_form_client: TestClient) -> None:
    assert fastapi_form_client.get("/auth/session").json()["form_tag"] == tag_of(fastapi_form_client)
