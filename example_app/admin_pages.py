"""For the administrator: log any user out, on all devices at once."""

from fastapi import APIRouter, Request, Response

from example_app.accounts import Accounts, TheAccounts
from example_app.forms import Submitted
from example_app.rendering import page, see_other
from example_app.sessions import Administrator, MemberSession, sessions

router = APIRouter(include_in_schema=False)

SHOWN_USERS = 50
NO_USER_ID = "A user's number has digits only, for example 2."


@router.get("/admin")
async def administration(request: Request, session: Administrator, accounts: TheAccounts) -> Response:
    return await _page(request, session, accounts)


@router.post("/admin/log-out-user")
async def log_out_user(request: Request, session: Administrator, form: Submitted, accounts: TheAccounts) -> Response:
    text = form.get("user_id", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return await _page(request, session, accounts, wrong=NO_USER_ID, status_code=422)
    count = await sessions.revoke_all_sessions_for_user(int(text))
    return see_other("/admin", notice="user-logged-out", count=count)


async def _page(
    request: Request, session: MemberSession, accounts: Accounts, *, wrong: str | None = None, status_code: int = 200
) -> Response:
    users = await accounts.users.newest(SHOWN_USERS)
    return page(request, "admin.html", session, status_code=status_code, users=users, wrong=wrong)
