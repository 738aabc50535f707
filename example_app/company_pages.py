"""To the company's provider and back: signing in, and having signed out."""

from fastapi import APIRouter, Request, Response

from asgi_sessions.oidc import keep_id_token, oidc_index
from example_app.account_pages import after_sign_in
from example_app.company import Company, SignInFailed, company
from example_app.company_users import TheCompanyUsers
from example_app.local_path import local_path
from example_app.rendering import see_other
from example_app.sessions import begin_session, sessions

router = APIRouter(prefix="/company", include_in_schema=False)

_NEXT = "next"


@router.get("/sign-in")
async def company_sign_in(request: Request, next: str | None = None) -> Response:  # noqa: A002  # the parameter's name
    request.session[_NEXT] = local_path(next)
    try:
        return await _company().to_sign_in(request)
    except SignInFailed as failed:
        return see_other(request, "/sign-in", notice=failed.args[0])


@router.get("/callback")
async def company_callback(request: Request, users: TheCompanyUsers) -> Response:
    try:
        found = await _company().signed_in(request)
    except SignInFailed as failed:
        return see_other(request, "/sign-in", notice=failed.args[0])
    user = await users.user_of(found.claims)
    session = await begin_session(
        request, user, stay_signed_in=False, methods=(), info={"company": True}, index=oidc_index(found.claims)
    )
    if sessions.settings.secret_key:  # without one nothing is sealed, and the provider asks who signs out
        await keep_id_token(sessions, session, found.id_token)
    return after_sign_in(request, session, local_path(request.session.pop(_NEXT, None)))


@router.get("/signed-out")
async def company_signed_out(request: Request) -> Response:
    notice = "logged-out-there" if _company().has_signed_out(request) else None
    return see_other(request, "/sign-in", notice=notice)


def _company() -> Company:
    if company is None:
        raise RuntimeError("these routes are there with a company alone")
    return company
