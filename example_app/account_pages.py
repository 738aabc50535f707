"""The pages for signing up, signing in, and the one that greets whoever is signed in."""

from typing import Any, TypedDict

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from example_app.accounts import Credentials, NewAccount, TheAccounts
from example_app.company import company
from example_app.cookie_hint import cookie_hint
from example_app.forms import Submitted, problems
from example_app.local_path import local_path
from example_app.rendering import page, see_other
from example_app.sessions import Member, MemberAtForm, MemberSession, Visitor, begin_session, sessions
from example_app.users import NameTaken

router = APIRouter(include_in_schema=False)

WRONG_CREDENTIALS = "The name or the password is wrong."
NAME_TAKEN = "This name is taken. Is it yours? Then sign in."


@router.get("/")
async def home(request: Request, session: Member) -> Response:
    devices = await sessions.list_sessions_for_user(session.user_id)
    return page(request, "home.html", session, devices=devices, second_device=_second_device(request))


@router.get("/sign-up")
async def sign_up_form(request: Request, session: Visitor) -> Response:
    return see_other(request, "/") if session else _sign_up_form(request)


@router.post("/sign-up")
async def sign_up(request: Request, form: Submitted, accounts: TheAccounts) -> Response:
    entered = _entered(form)
    try:
        account = NewAccount.model_validate(entered)
        user = await accounts.sign_up(account)
    except ValidationError as error:
        return _sign_up_form(request, entered, problems(error), status_code=422)
    except NameTaken:
        return _sign_up_form(request, entered, {"name": NAME_TAKEN}, status_code=409)
    await begin_session(request, user, stay_signed_in=account.stay_signed_in)
    return see_other(request, "/", notice="welcome")


@router.get("/sign-in")
async def sign_in_form(request: Request, session: Visitor, next: str | None = None) -> Response:  # noqa: A002  # the parameter's name
    return see_other(request, local_path(next)) if session else _sign_in_form(request, next=next)


@router.post("/sign-in")
async def sign_in(request: Request, form: Submitted, accounts: TheAccounts) -> Response:
    entered = _entered(form)
    credentials = Credentials.model_validate(entered)
    user = await accounts.sign_in(credentials)
    if user is None:
        return _sign_in_form(request, entered, WRONG_CREDENTIALS, next=form.get("next"), status_code=422)
    session = await begin_session(request, user, stay_signed_in=credentials.stay_signed_in)
    return after_sign_in(request, session, local_path(form.get("next")))


@router.post("/log-out")
async def log_out(request: Request, session: MemberAtForm) -> Response:
    there = await company.to_sign_out(request, session) if company else None
    await session.revoke_session()  # the cookies leave with the redirect
    if there is not None:  # she has signed in at her company: there she signs out too
        return see_other(request, there)
    return see_other(request, "/sign-in", notice="logged-out")


def after_sign_in(request: Request, session: MemberSession, goes_on: str) -> Response:
    if ended := session.evicted_sessions:  # there is a limit: ASGI_SESSIONS_MAX_SESSIONS_PER_USER
        return page(request, "logged_out_elsewhere.html", session, ended=ended, next=goes_on)
    return see_other(request, goes_on)


def _second_device(request: Request) -> str | None:
    """This computer by its other name, for which a browser keeps other cookies; None where it has no other."""
    other = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}.get(request.url.hostname or "")
    return None if other is None else str(request.url.replace(hostname=other, path="/devices", query=""))


class Entered(TypedDict):
    """What a form for signing in or up has sent."""

    name: str
    password: str
    stay_signed_in: bool


def _entered(form: dict[str, str]) -> Entered:
    # A box that is not ticked sends nothing.
    return {
        "name": form.get("name", ""),
        "password": form.get("password", ""),
        "stay_signed_in": "stay_signed_in" in form,
    }


def _shown_again(request: Request, entered: Entered | None) -> dict[str, Any]:
    """What a form shows of what it has sent: all but the password."""
    name, stay = (entered["name"], entered["stay_signed_in"]) if entered else ("", False)
    return {"name": name[:100], "stay_signed_in": stay, "cookie_hint": cookie_hint(request)}


def _sign_up_form(
    request: Request, entered: Entered | None = None, wrong: dict[str, str] | None = None, *, status_code: int = 200
) -> Response:
    values = _shown_again(request, entered) | {"wrong": wrong or {}}
    return page(request, "sign_up.html", None, status_code=status_code, **values)


def _sign_in_form(
    request: Request,
    entered: Entered | None = None,
    wrong: str | None = None,
    *,
    next: str | None,  # noqa: A002  # the parameter's name
    status_code: int = 200,
) -> Response:
    values = _shown_again(request, entered) | {"wrong": wrong, "next": local_path(next, "")}
    return page(request, "sign_in.html", None, status_code=status_code, **values)
