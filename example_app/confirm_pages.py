"""Step-up: a page that wants a one-time code of the last minutes, and the pages that ask for it."""

import json

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from example_app.accounts import TheAccounts
from example_app.codes import GOOD_FOR, TheCodes, TooManyTries, TypedCode
from example_app.forms import Submitted, problems
from example_app.local_path import local_path
from example_app.rendering import page, see_other
from example_app.sessions import MemberSession, Oneself, OneselfAtForm, RecentlyConfirmed, data_of

router = APIRouter(include_in_schema=False)

WRONG_CODE = "This code is wrong, or too old. You can get a new one."
TOO_MANY_TRIES = "Too many wrong codes. For some minutes none is taken."


@router.get("/your-data")
async def your_data(request: Request, session: RecentlyConfirmed, accounts: TheAccounts) -> Response:
    """Without the code, the session's error leads to the form: errors.py."""
    user = await accounts.users.get(session.user_id)
    kept = [json.dumps(each, indent=2, ensure_ascii=False) for each in await data_of(session)]
    return page(request, "your_data.html", session, user=user, kept=kept)


@router.get("/confirm")
async def confirm_form(request: Request, session: Oneself, next: str | None = None) -> Response:  # noqa: A002  # the parameter's name
    return _form(request, session, next)


@router.post("/confirm/code")
async def send_code(request: Request, session: OneselfAtForm, form: Submitted, codes: TheCodes) -> Response:
    """Make a code, and show it as if it had come by mail. The page is the answer itself: no address holds a code."""
    try:
        code = await codes.make(session.user_id, session.session_handle)
    except TooManyTries:
        return _form(request, session, form.get("next"), TOO_MANY_TRIES, status_code=429)
    return _form(request, session, form.get("next"), mail=code)


@router.post("/confirm")
async def confirm(request: Request, session: OneselfAtForm, form: Submitted, codes: TheCodes) -> Response:
    goes_on = form.get("next")
    try:
        typed = TypedCode.model_validate({"code": form.get("code", "")})
        if not await codes.use(session.user_id, session.session_handle, typed):
            return _form(request, session, goes_on, WRONG_CODE, status_code=422)
    except ValidationError as error:
        return _form(request, session, goes_on, problems(error)["code"], status_code=422)
    except TooManyTries:
        return _form(request, session, goes_on, TOO_MANY_TRIES, status_code=429)
    await session.add_authentication_method("otp")  # the session goes on, and says so from now on
    return see_other(request, local_path(goes_on))


def _form(
    request: Request,
    session: MemberSession,
    next: str | None,  # noqa: A002  # the parameter's name
    wrong: str | None = None,
    *,
    mail: str | None = None,
    status_code: int = 200,
) -> Response:
    asked = mail is not None or wrong is not None
    values = {"next": local_path(next, ""), "wrong": wrong, "mail": mail, "asked": asked, "minutes": GOOD_FOR // 60}
    return page(request, "confirm.html", session, status_code=status_code, **values)
