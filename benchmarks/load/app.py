"""The application under load: as small as an application with sessions can be. Settings come from the environment."""

from fastapi import FastAPI, Request

from asgi_sessions import SessionManager, SessionMiddleware
from asgi_sessions.fastapi import CurrentSession

sessions = SessionManager()
app = FastAPI(openapi_url=None)
app.add_middleware(SessionMiddleware, manager=sessions)


@app.post("/login/{user}")
async def login(request: Request, user: str) -> dict[str, str]:
    session = await sessions.create_new_session(request, user, jwt_payload={"role": "user"})
    return {"user": session.user_id}


@app.get("/public")
async def public() -> dict[str, str]:
    return {"user": "anybody"}


@app.get("/me")
async def me(session: CurrentSession) -> dict[str, str]:
    return {"user": session.user_id}


@app.get("/devices")
async def devices(session: CurrentSession) -> dict[str, str | int]:
    return {"user": session.user_id, "devices": len(await sessions.list_sessions_for_user(session.user_id))}


@app.post("/logout")
async def logout(session: CurrentSession) -> dict[str, str]:
    await session.revoke_session()
    return {"user": session.user_id}


@app.post("/logout-everywhere")
async def logout_everywhere(session: CurrentSession) -> dict[str, str | int]:
    return {"user": session.user_id, "ended": await sessions.revoke_all_sessions_for_user(session.user_id)}
