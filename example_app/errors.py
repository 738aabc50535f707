"""What goes wrong, as a page for people and as JSON for programs."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from asgi_sessions import (
    FormForAnotherSession,
    InvalidClaim,
    ReauthenticationRequired,
    SessionError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
    get_optional_session,
    get_session,
    session_exception_handler,
)
from example_app.local_path import path_of
from example_app.notices import notices
from example_app.rendering import page, see_other
from example_app.sessions import MemberSession, had_session

_FOR_PROGRAMS = ("/api/", "/auth/", "/openapi.json")

_SENTENCES = {
    403: "You may not do this.",
    404: "There is nothing at this address.",
    405: "This address takes no such request.",
    422: "The request is not complete, or something in it is wrong.",
    500: "Something went wrong here. It is not your fault.",
}


def handle_errors(app: FastAPI) -> None:
    """Register all of this module's handlers."""
    app.add_exception_handler(SessionError, _session_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected)


async def _session_error(request: Request, error: Exception) -> Response:
    """Pages lead to a form: for signing in, or for a code. The cookies of an ended session leave with either answer."""
    if not _is_page(request):
        answer = await session_exception_handler(request, error)
        if isinstance(error, SessionError):
            _leave_notice(request, answer, error)
        return answer
    if isinstance(error, Unauthorised | TryRefreshToken | TokenTheftDetected):
        return _to_the_form(request, error)
    if isinstance(error, ReauthenticationRequired):  # signed in, but for this a code is missing, or another
        return see_other(request, "/confirm", next=_to_return_to(request))
    if isinstance(error, FormForAnotherSession):
        return await _page_of_another(request, error)
    answer = await session_exception_handler(request, error)  # raises what is a mistake in this application
    detail = error.detail if isinstance(error, SessionError) else None
    if isinstance(error, InvalidClaim):
        detail = "This page is for the administrator: the first user who signed up."
    return await _error_page(request, answer.status_code, detail)


def _to_the_form(request: Request, error: SessionError) -> Response:
    return see_other(request, "/sign-in", next=_to_return_to(request), notice=_notice_of(request, error))


def _notice_of(request: Request, error: SessionError) -> str | None:
    """What to tell somebody whose session has ended. Only the first answer can know: it clears the cookies."""
    if isinstance(error, TokenTheftDetected):
        return "ended-for-safety"
    return "session-ended" if isinstance(error, Unauthorised) and had_session(request) else None


def _leave_notice(request: Request, answer: Response, error: SessionError) -> None:
    """Where a script of a page has been told first: the form that the page leads to then says why."""
    notice = _notice_of(request, error)
    if notice is not None and request.headers.get("sec-fetch-site") == "same-origin":
        notices.leave(request, answer, notice)


async def _page_of_another(request: Request, error: FormForAnotherSession) -> Response:
    """Nothing was done: say who is signed in by now, and lead back to what they have looked at, made for them."""
    session: MemberSession = await get_session(request)
    shown = path_of(request.headers.get("referer", ""))
    return page(request, "other_session.html", session, status_code=error.status_code, shown=shown)


def _to_return_to(request: Request) -> str | None:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return path if request.method == "GET" and path != "/" else None


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if not _is_page(request):
        return await http_exception_handler(request, error)
    return await _error_page(request, error.status_code, _SENTENCES.get(error.status_code, error.detail))


async def _invalid_request(request: Request, error: Exception) -> Response:
    """FastAPI's own answer repeats the input: a password, or text that JSON cannot carry."""
    if not isinstance(error, RequestValidationError):
        raise error
    if _is_page(request):
        return await _error_page(request, 422)
    detail = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
    return JSONResponse({"detail": detail}, 422)


async def _unexpected(request: Request, error: Exception) -> Response:
    if not _is_page(request):
        return JSONResponse({"detail": "Internal Server Error"}, 500)
    return _shown(request, None, 500)


async def _error_page(request: Request, status_code: int, detail: str | None = None) -> Response:
    try:
        session: MemberSession | None = await get_optional_session(request)
    except SessionError:
        session = None
    return _shown(request, session, status_code, detail)


def _shown(request: Request, session: MemberSession | None, status_code: int, detail: str | None = None) -> Response:
    return page(
        request,
        "error.html",
        session,
        status_code=status_code,
        number=status_code,
        title=HTTPStatus(status_code).phrase,
        detail=detail or _SENTENCES.get(status_code, "This did not work."),
    )


def _is_page(request: Request) -> bool:
    return not request.url.path.startswith(_FOR_PROGRAMS)
