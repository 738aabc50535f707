"""The application of docs/federated-logout.md as its readers have it, with a socket. It runs in their folder."""

import os
import sys
from importlib import import_module

from fastapi import FastAPI, WebSocket

from asgi_sessions import get_session

sys.path.insert(0, os.getcwd())
app: FastAPI = import_module("company").app
if "REVERSED_MIDDLEWARE" in os.environ:  # the page says that the order is free
    app.user_middleware.reverse()


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.websocket("/live")
async def live(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    await websocket.send_text(str(os.getpid()))
    async for text in websocket.iter_text():
        await websocket.send_text(text)
