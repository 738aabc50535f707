"""Applications whose routes require that a form was made for the session; of Starlette and of FastAPI."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, UploadFile
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_sessions import (
    Session,
    SessionManager,
    SessionMiddleware,
    require_session,
)
from asgi_sessions.fastapi import session_router
from tests.asgi.apps import application, cookies_set, me

FORM = {"content-type": "application/x-www-form-urlencoded"}
shown = require_session(form_tag=True)
Shown = Annotated[Session[Any, Any], Depends(shown)]

NewApp = Callable[[SessionManager], Any]


async def _fields_afterwards(request: Request) -> Response:
    session = await shown(request)
    async with request.form() as form:
        files = {name: (await value.read()).decode() for name, value in form.items() if not isinstance(value, str)}
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
    return JSONResponse({"user": session.user_id, **texts, **files})


async def _fields_before(request: Request) -> Response:
    form = await request.form()
    session = await shown(request)
    await form.close()
    return JSONResponse({"user": session.user_id, "text": form["text"]})


async def _body_afterwards(request: Request) -> Response:
    session = await shown(request)
    return JSONResponse({"user": session.user_id, "bytes": len(await request.body())})


async def _stream_before(request: Request) -> Response:
    async for _ in request.stream():
        pass
    return JSONResponse({"user": (await shown(request)).user_id})


async def _scope_alone(request: Request) -> Response:
    return JSONResponse({"user": (await shown(HTTPConnection(request.scope))).user_id})


async def _no_receive(request: Request) -> Response:
    return JSONResponse({"user": (await shown(Request(request.scope))).user_id})


STARLETTE = {
    "/act": _fields_afterwards,
    "/before": _fields_before,
    "/body": _body_afterwards,
    "/stream": _stream_before,
    "/scope": _scope_alone,
    "/no-receive": _no_receive,
}
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "POKE"]


def in_starlette(sessions: SessionManager) -> Starlette:
    routes = [Route(path, endpoint, methods=METHODS) for path, endpoint in STARLETTE.items()]
    return application(sessions, *routes)


def in_fastapi(sessions: SessionManager) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, manager=sessions)
    app.include_router(session_router(), prefix="/auth")
    app.add_api_route("/me", me, methods=["GET"], response_model=None)

    @app.post("/login")
    async def login(request: Request, user: str = "alice") -> None:
        await sessions.create_new_session(request, user)

    @app.api_route("/act", methods=METHODS)
    async def act(request: Request, session: Shown) -> Any:
        return JSONResponse((await _read(request)) | {"user": session.user_id})

    async def _read(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            return {
                name: value if isinstance(value, str) else (await value.read()).decode() for name, value in form.items()
            }

    @app.post("/before")
    async def before(session: Shown, text: Annotated[str, Form()]) -> Any:
        return {"user": session.user_id, "text": text}

    @app.post("/body")
    async def body(request: Request, session: Shown) -> Any:
        return {"user": session.user_id, "bytes": len(await request.body())}

    @app.post("/upload")
    async def upload(session: Shown, text: Annotated[UploadFile, File()]) -> Any:
        return {"user": session.user_id, "bytes": len(await text.read())}

    @app.post("/json")
    async def json(session: Shown, body: dict[str, Any]) -> Any:
        return {"user": session.user_id, **body}

    @app.post("/plain-def")
    def plain_def(session: Shown) -> Any:
        return {"user": session.user_id}

    return app


def tag_of(client: TestClient) -> str:
    """Of the session in the client's jar."""
    handle = client.get("/me").json()["handle"]
    label = b"asgi-user-sessions form tag\0"
    return urlsafe_b64encode(hashlib.sha256(label + handle.encode()).digest())[:16].decode()


def is_refused(response: Any) -> bool:
    if response.status_code != 409:
        return False
    assert response.json() == {
        "detail": "This page was made for another session. Load the page again, and look at whose it is.",
        "code": "form_for_another_session",
    }
    assert cookies_set(response) == {}
    return True
