"""Tells what browsers have sent: ``/seen`` has the last request for each path, by its headers."""

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

_seen: dict[str, dict[str, str]] = {}


def note(connection: HTTPConnection) -> None:
    _seen[connection.url.path] = dict(connection.headers)


async def page(request: Request) -> Response:
    note(request)
    return HTMLResponse(f"<!doctype html><title>A page</title><h1>{request.url.path}</h1>")


async def cookie(request: Request) -> Response:
    """Set the cookie that the query is."""
    answer = HTMLResponse("<!doctype html><title>A page</title>")
    answer.headers["set-cookie"] = request.url.query.replace("+", " ")
    return answer


async def redirect(request: Request) -> Response:
    return RedirectResponse(request.url.query, 302)


async def clear(request: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Cleared</title>", headers={"Clear-Site-Data": '"cookies"'})


async def seen(request: Request) -> Response:
    return JSONResponse(_seen)


async def accepting(websocket: WebSocket) -> None:
    note(websocket)
    await websocket.accept(headers=[(b"set-cookie", b"accepted=1; Secure; Path=/")])
    await websocket.close()


async def denying(websocket: WebSocket) -> None:
    note(websocket)
    await websocket.send_denial_response(Response(status_code=403, headers={"Set-Cookie": "denied=1; Secure; Path=/"}))


app = Starlette(
    routes=[
        Route("/page", page, methods=["GET", "POST"]),
        Route("/posted", page, methods=["POST"]),
        Route("/strict", page),
        Route("/cookie", cookie),
        Route("/redirect", redirect),
        Route("/clear", clear),
        Route("/seen", seen),
        WebSocketRoute("/accepting", accepting),
        WebSocketRoute("/denying", denying),
    ]
)
