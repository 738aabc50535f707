"""The application: ``uvicorn example_app.main:app``, or ``make run``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.sessions import SessionMiddleware as LoginStateMiddleware

from asgi_sessions import SessionMiddleware
from asgi_sessions.fastapi import session_router
from asgi_sessions.oidc import oidc_logout_router
from example_app import account_pages, admin_pages, api, company_pages, confirm_pages, device_pages, live
from example_app.accounts import Accounts
from example_app.codes import Codes
from example_app.company import company
from example_app.company_users import CompanyUsers
from example_app.database import Database
from example_app.errors import handle_errors
from example_app.passwords import Passwords
from example_app.sessions import sessions
from example_app.users import Users


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the users' database: the sessions' own, unless another is given."""
    database = Database(os.environ.get("EXAMPLE_DATABASE_URL") or sessions.settings.database_url_text)
    users, passwords = Users(database), Passwords()
    codes = Codes(database, passwords)
    try:
        await users.create_table()
        await codes.create_table()
        if company is not None:
            await company.open()
            app.state.company_users = CompanyUsers(database, users)
            await app.state.company_users.create_table()
            app.include_router(oidc_logout_router(sessions, [company.provider]), prefix="/auth")
        app.state.accounts, app.state.codes = Accounts(users, passwords), codes
        yield
    finally:
        await database.close()


app = FastAPIOffline(
    title="asgi-user-sessions: example",
    description=(
        "Sign up, sign in, see your devices, log out here and elsewhere, confirm by a one-time code. "
        "The same as pages: [/](/)."
    ),
    lifespan=lifespan,
    favicon_url="/favicon.ico",
)
handle_errors(app)
app.include_router(account_pages.router)
app.include_router(device_pages.router)
app.include_router(confirm_pages.router)
app.include_router(admin_pages.router)
app.include_router(device_pages.administration, prefix="/admin")
app.include_router(api.router)
app.include_router(live.router)
app.include_router(session_router(), prefix="/auth")
STATIC = Path(__file__).parent / "static"
app.mount("/static", StaticFiles(directory=STATIC), name="static")


@app.get("/favicon.ico", include_in_schema=False)
async def icon() -> FileResponse:
    """For pages that name no icon: the library's, and the API's."""
    return FileResponse(STATIC / "icon.svg")


if company is not None:
    app.include_router(company_pages.router)
    app.add_middleware(  # what Authlib keeps in the browser while somebody is at the company's provider
        LoginStateMiddleware,
        secret_key=company.state_key,
        session_cookie="login_state",
        max_age=600,
        https_only=sessions.settings.cookie_secure,
    )
app.add_middleware(SessionMiddleware, manager=sessions)  # last, so that it is outside all others
