"""What all pages share: who asks, in which language, the head of the page, and what goes wrong as a page."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from asgi_sessions.asgi.error_responses import NO_SESSION, answerable, error_answer
from asgi_sessions.asgi.form_tags import require_form_of
from asgi_sessions.errors import ReauthenticationRequired, SessionError
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.session import Session
from asgi_sessions.pages.addresses import address_of, with_return
from asgi_sessions.pages.asked import Asked
from asgi_sessions.pages.languages import Language, Languages
from asgi_sessions.pages.options import Configuration
from asgi_sessions.pages.rendering import Renderer

__all__ = ["Endpoint", "Frame"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
PageOfUser: TypeAlias = Callable[[Request, Session[Any, Any]], Awaitable[Response]]


class Frame:
    """Around each page.

    Args:
        sessions: The manager.
        configuration: What the application says about its pages.
    """

    def __init__(self, sessions: SessionManager, configuration: Configuration) -> None:
        self.sessions = sessions
        self.configuration = configuration
        languages = Languages(configuration.translations)
        self._languages = languages
        self._renderer = Renderer(
            configuration.templates,
            languages,
            style_origin=configuration.style_origin,
            form_origin=configuration.form_origin,
        )
        self._language = Asked("language", configuration.language, sessions.clock)
        self._user_name = Asked("user_name", configuration.user_name, sessions.clock)

    def page(self, of_user: PageOfUser) -> Endpoint:
        """An endpoint for whoever is signed in, which answers what goes wrong by a page."""

        async def endpoint(request: Request) -> Response:
            try:
                session = await self.sessions.get_session(request)
                await require_form_of(session, request)
                return await of_user(request, session)
            except HTTPException as error:
                return await self._error_page(request, error.status_code, {})
            except Exception as error:
                answered = answerable(error)
                if answered is None:
                    raise
                return await self._refused(request, answered)

        return endpoint

    async def show(
        self,
        request: Request,
        session: Session[Any, Any],
        template: str,
        values: Mapping[str, Any],
        *,
        language: Language | None = None,
        status_code: int = 200,
    ) -> Response:
        """A page of somebody who is signed in; see `Renderer.page`."""
        language = language or await self.language(request)
        name = await self._user_name.of(session)
        own = {"user_name": name, "is_acting": session.actor is not None, "form_tag": session.form_tag}
        given = {**self._head(request), **own, **values}
        return self._renderer.page(request, template, language, given, status_code=status_code)

    async def show_to_nobody(self, request: Request, template: str, values: Mapping[str, Any]) -> Response:
        """A page for somebody who is not, or no longer, signed in."""
        return self._renderer.page(request, template, await self.language(request), self._head(request) | dict(values))

    async def language(self, request: Request) -> Language:
        """The user's language: as the application says, or else the browser."""
        said = await self._language.of(request)
        if isinstance(said, str):
            return self._languages.of_tag(said)
        return self._languages.of_header(request.headers.get("accept-language", ""))

    def _head(self, request: Request) -> dict[str, Any]:
        own = self.configuration
        return {
            "brand": own.brand,
            "home_url": address_of(own.home_url, request),
            "account_links": own.account_links,
            "stylesheet": own.stylesheet,
            "user_name": None,
            "is_acting": False,
        }

    async def _refused(self, request: Request, error: SessionError) -> Response:
        answer = error_answer(request, error)
        sign_in = address_of(self.configuration.sign_in_url, request)
        if isinstance(error, NO_SESSION):
            if sign_in is None:
                raise error
            return RedirectResponse(with_return(sign_in, request), 303, {"Cache-Control": "no-store"})
        again = None
        if isinstance(error, ReauthenticationRequired):
            found = address_of(self.configuration.reauthenticate_url, request)
            again = None if found is None else with_return(found, request)
        return await self._error_page(request, answer.status_code, answer.headers, code=error.code, again=again)

    async def _error_page(
        self,
        request: Request,
        status_code: int,
        headers: Mapping[str, str],
        *,
        code: str | None = None,
        again: str | None = None,
    ) -> Response:
        values = self._head(request) | {"status_code": status_code, "code": code, "again": again}
        return self._renderer.page(
            request, "error.html", await self.language(request), values, status_code=status_code, headers=headers
        )


async def together(*coroutines: Awaitable[Any]) -> list[Any]:
    """What they return, in order; all wait at the same time."""
    return list(await asyncio.gather(*coroutines))
