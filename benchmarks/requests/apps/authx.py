"""authx: the session is a JWT in a cookie. Nothing can end it but its age."""

from datetime import timedelta
from typing import Annotated

from authx import AuthX, AuthXConfig, TokenPayload
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse

security: AuthX[None] = AuthX(
    config=AuthXConfig(
        JWT_SECRET_KEY="benchmark-secret-key-of-32-bytes",
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(days=1),
    )
)
app = FastAPI()


@app.post("/log-in")
async def log_in() -> PlainTextResponse:
    response = PlainTextResponse("42")
    security.set_access_cookies(security.create_access_token("42", data={"role": "editor"}), response)
    return response


@app.get("/me")
async def me(token: Annotated[TokenPayload, Depends(security.access_token_required)]) -> PlainTextResponse:
    return PlainTextResponse(token.sub)
