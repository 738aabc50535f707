"""SuperTokens' SDK: access tokens in cookies, verified with the core's public keys. The core here is our stub."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe import session
from supertokens_python.recipe.session import SessionContainer
from supertokens_python.recipe.session.asyncio import create_new_session
from supertokens_python.recipe.session.framework.fastapi import verify_session
from supertokens_python.types import RecipeUserId

init(
    app_info=InputAppInfo(app_name="benchmark", api_domain="https://example.com", website_domain="https://example.com"),
    supertokens_config=SupertokensConfig(connection_uri=os.environ["BENCHMARK_CORE_URL"]),
    framework="fastapi",
    recipe_list=[session.init(get_token_transfer_method=lambda *_: "cookie")],
    mode="asgi",
    telemetry=False,
)
app = FastAPI()
app.add_middleware(get_middleware())


@app.post("/log-in")
async def log_in(request: Request) -> PlainTextResponse:
    await create_new_session(request, "public", RecipeUserId("42"), {"role": "editor"})
    return PlainTextResponse("42")


@app.get("/me")
async def me(found: Annotated[SessionContainer, Depends(verify_session())]) -> PlainTextResponse:
    return PlainTextResponse(found.get_user_id())
