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
from asgi_sessions.pages.options import Configuration, links_of
from asgi_sessions.pages.rendering import LIST, Renderer, list_url

__all__ = ["Endpoint", "Frame", "Permission"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Permission: TypeAlias = Callable[[Request], Awaitable[Session[Any, Any]]]
"""Returns the session that may see a page, or raises."""
PageOfUser: TypeAlias = Callable[[Request, Session[Any, Any]], Awaitable[Response]]


class Frame:
    """Around each page.

    Args:
        sessions: The manager.
        configuration: What the application says about its pages.
        permission: Who may see them; None for everybody who is signed in.
        root: The last part of the path of the pages that all others are one step below.
        error_template: Shows what goes wrong.
    """

    def __init__(
        self,
        sessions: SessionManager,
        configuration: Configuration,
        *,
        permission: Permission | None = None,
        root: str = LIST,
        error_template: str = "error.html",
    ) -> None:
        self.sessions = sessions
        self.configuration = configuration
        self._permission = sessions.get_session if permission is None else permission
        self._root = root
        self._error_template = error_template
        languages = Languages(configuration.translations)
        self._languages = languages
        self._renderer = Renderer(
            configuration.templates,
            languages,
            root=root,
            style_origin=configuration.style_origin,
            form_origin=configuration.form_origin,
        )
        self._language = Asked("language", configuration.language, sessions.clock)
        self._user_name = Asked("user_name", configuration.user_name, sessions.clock)
        links = configuration.account_links
        self._account_links = Asked("account_links", links if callable(links) else None, sessions.clock, links_of)

    def page(self, of_user: PageOfUser) -> Endpoint:
        """An endpoint for whoever is signed in, which answers what goes wrong by a page."""

        async def endpoint(request: Request) -> Response:
            try:
                session = await self._permission(request)
                await require_form_of(session, request)
                return await of_user(request, session)
            except HTTPException as error:
                return await self._error_page(request, error.status_code, error.headers or {})
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
        name, links = await together(self._user_name.of(session), self._account_links.of(session))
        own = {"user_name": name, "is_acting": session.actor is not None, "form_tag": session.form_tag}
        if links is not None:
            own["account_links"] = links
        given = {**self._head(request), **own, **values}
        return self._renderer.page(request, template, language, given, status_code=status_code)

    async def show_to_nobody(self, request: Request, template: str, values: Mapping[str, Any]) -> Response:
        """A page for somebody who is not, or no longer, signed in."""
        return self._renderer.page(request, template, await self.language(request), self._head(request) | dict(values))

    async def signed_out(self, request: Request) -> Response:
        """The answer to a form that has ended the session which asks."""
        sign_in = address_of(self.configuration.sign_in_url, request)
        if sign_in is None:
            return await self.show_to_nobody(request, "signed_out.html", {})
        return self._to_sign_in(sign_in, request)

    def url_of(self, request: Request, page: str = "") -> str:
        """The URL of a page below the root, or of the root itself, relative to the page that is asked for."""
        root = list_url(request, self._root)
        return f"{root}/{page}" if page else root

    async def language(self, request: Request) -> Language:
        """The user's language: as the application says, or else the browser."""
        said = await self._language.of(request)
        if isinstance(said, str):
            return self._languages.of_tag(said)
        return self._languages.of_header(request.headers.get("accept-language", ""))

    def _to_sign_in(self, url: str, request: Request) -> Response:
        return RedirectResponse(with_return(url, request, self._root), 303, {"Cache-Control": "no-store"})

    def _head(self, request: Request) -> dict[str, Any]:
        own = self.configuration
        return {
            "brand": own.brand,
            "home_url": address_of(own.home_url, request),
            "path": request.url.path,
            "account_links": () if callable(own.account_links) else own.account_links,
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
            return self._to_sign_in(sign_in, request)
        again = None
        if isinstance(error, ReauthenticationRequired):
            found = address_of(self.configuration.reauthenticate_url, request)
            again = None if found is None else with_return(found, request, self._root)
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
            request,
            self._error_template,
            await self.language(request),
            values,
            status_code=status_code,
            headers=headers,
        )


async def together(*coroutines: Awaitable[Any]) -> list[Any]:
    """What they return, in order; all wait at the same time."""
    return list(await asyncio.gather(*coroutines))
