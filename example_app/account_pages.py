"""The pages for signing up, signing in, and the one that greets whoever is signed in."""

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from example_app.accounts import Credentials, NewAccount, TheAccounts
from example_app.cookie_hint import cookie_hint
from example_app.forms import Submitted, problems
from example_app.local_path import local_path
from example_app.rendering import page, see_other
from example_app.sessions import Member, Visitor, payload_of, sessions
from example_app.users import NameTaken

router = APIRouter(include_in_schema=False)

WRONG_CREDENTIALS = "The name or the password is wrong."
NAME_TAKEN = "This name is taken. Is it yours? Then sign in."


@router.get("/")
async def home(request: Request, session: Member) -> Response:
    devices = await sessions.list_sessions_for_user(session.user_id)
    return page(request, "home.html", session, devices=devices, settings=sessions.settings)


@router.get("/sign-up")
async def sign_up_form(request: Request, session: Visitor) -> Response:
    return see_other("/") if session else _sign_up_form(request)


@router.post("/sign-up")
async def sign_up(request: Request, form: Submitted, accounts: TheAccounts) -> Response:
    name = form.get("name", "")
    try:
        account = NewAccount.model_validate({"name": name, "password": form.get("password", "")})
        user = await accounts.sign_up(account)
    except ValidationError as error:
        return _sign_up_form(request, name, problems(error), status_code=422)
    except NameTaken:
        return _sign_up_form(request, name, {"name": NAME_TAKEN}, status_code=409)
    await sessions.create_new_session(request, user.id, jwt_payload=payload_of(user), session_info={})
    return see_other("/", notice="welcome")


@router.get("/sign-in")
async def sign_in_form(request: Request, session: Visitor, next: str | None = None) -> Response:  # noqa: A002  # the parameter's name
    return see_other(local_path(next)) if session else _sign_in_form(request, next=next)


@router.post("/sign-in")
async def sign_in(request: Request, form: Submitted, accounts: TheAccounts) -> Response:
    credentials = Credentials.model_validate({"name": form.get("name", ""), "password": form.get("password", "")})
    user = await accounts.sign_in(credentials)
    if user is None:
        return _sign_in_form(request, credentials.name, WRONG_CREDENTIALS, next=form.get("next"), status_code=422)
    await sessions.create_new_session(request, user.id, jwt_payload=payload_of(user), session_info={})
    return see_other(local_path(form.get("next")))


@router.post("/log-out")
async def log_out(session: Member) -> Response:
    await session.revoke_session()  # the cookies leave with the redirect
    return see_other("/sign-in", notice="logged-out")


def _sign_up_form(
    request: Request, name: str = "", wrong: dict[str, str] | None = None, *, status_code: int = 200
) -> Response:
    values = {"name": name[:100], "wrong": wrong or {}, "cookie_hint": cookie_hint(request)}
    return page(request, "sign_up.html", None, status_code=status_code, **values)


def _sign_in_form(
    request: Request,
    name: str = "",
    wrong: str | None = None,
    *,
    next: str | None,  # noqa: A002  # the parameter's name
    status_code: int = 200,
) -> Response:
    values = {"name": name[:100], "wrong": wrong, "next": local_path(next, ""), "cookie_hint": cookie_hint(request)}
    return page(request, "sign_in.html", None, status_code=status_code, **values)
