"""For the administrator: log any user out, on all devices at once, or see the pages as a user sees them."""

from fastapi import APIRouter, HTTPException, Request, Response

from example_app.accounts import TheAccounts
from example_app.forms import Submitted
from example_app.rendering import page, see_other
from example_app.sessions import (
    Administrator,
    AdministratorAtForm,
    RecentAdministratorAtForm,
    payload_of,
    sessions,
)

router = APIRouter(include_in_schema=False)

SHOWN_USERS = 50


@router.get("/admin")
async def administration(request: Request, session: Administrator, accounts: TheAccounts) -> Response:
    return page(request, "admin.html", session, users=await accounts.users.newest(SHOWN_USERS))


@router.post("/admin/log-out-user")
async def log_out_user(request: Request, session: AdministratorAtForm, form: Submitted) -> Response:
    user_id = _number(form)
    if user_id is None:
        raise HTTPException(422)
    count = await sessions.revoke_all_sessions_for_user(user_id)
    return see_other(request, "/admin", notice="user-logged-out", count=count)


@router.post("/admin/act-as")
async def act_as(
    request: Request, session: RecentAdministratorAtForm, form: Submitted, accounts: TheAccounts
) -> Response:
    """Act as a user, who sees it on "your devices". The administrator's own session ends in this browser."""
    user_id = _number(form)
    user = None if user_id is None else await accounts.users.get(user_id)
    if user is None or user.is_admin:
        return see_other(request, "/admin", notice="nobody-to-act-as")
    await sessions.impersonate(request, user.id, actor=session, jwt_payload=payload_of(user), session_info={})
    return see_other(request, "/")


def _number(form: Submitted) -> int | None:
    text = form.get("user_id", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
