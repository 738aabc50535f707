"""FastAPI with our sessions, as the settings in the environment say."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse

from asgi_sessions import Session, SessionManager, SessionMiddleware, SessionSettings, get_optional_session
from asgi_sessions.fastapi import CurrentSession

sessions = SessionManager(SessionSettings())
app = FastAPI()
app.add_middleware(SessionMiddleware, manager=sessions)


@app.post("/log-in")
async def log_in(request: Request, user: int = 42) -> PlainTextResponse:
    await sessions.create_new_session(request, user, jwt_payload={"role": "editor"})
    return PlainTextResponse(str(user))


@app.get("/me")
async def me(session: CurrentSession) -> PlainTextResponse:
    return PlainTextResponse(str(session.user_id))


@app.get("/perhaps")
async def perhaps(session: Annotated[Session | None, Depends(get_optional_session)]) -> PlainTextResponse:
    return PlainTextResponse("nobody" if session is None else str(session.user_id))


@app.get("/public")
async def public() -> PlainTextResponse:
    return PlainTextResponse("public")
