"""FastAPI without sessions."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.post("/log-in")
async def log_in() -> PlainTextResponse:
    return PlainTextResponse("42")


@app.get("/me")
async def me() -> PlainTextResponse:
    return PlainTextResponse("42")


@app.get("/perhaps")
async def perhaps() -> PlainTextResponse:
    return PlainTextResponse("nobody")


@app.get("/public")
async def public() -> PlainTextResponse:
    return PlainTextResponse("public")
