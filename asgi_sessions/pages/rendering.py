"""Templates: one environment of Jinja for each language, and what every page is given."""

import os
from collections.abc import Mapping
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from asgi_sessions.pages.languages import Language, Languages
from asgi_sessions.pages.static_files import VERSIONS

__all__ = ["LIST", "Renderer", "list_url"]

LIST = "devices"
"""The last part of the list's path. All other pages are one step below it."""
ORIGINAL = "original"
"""A template that replaces one of ours extends that one by this prefix: ``original/sessions/layout.html``."""


class Renderer:
    """Makes pages.

    Args:
        templates: The application's, which come before ours: a folder or a loader.
        languages: Those of the pages.
        root: The last part of the path of the pages that all others are one step below.
        style_origin: From where another style sheet may come; empty for nowhere else.
        form_origin: Where the answer to a form may lead; empty for nowhere else.
    """

    def __init__(
        self,
        templates: str | os.PathLike[str] | BaseLoader | None,
        languages: Languages,
        *,
        root: str = LIST,
        style_origin: str = "",
        form_origin: str = "",
    ) -> None:
        ours = PackageLoader("asgi_sessions.pages")
        loaders: list[BaseLoader] = [ours, PrefixLoader({ORIGINAL: ours})]
        if templates is not None:
            loaders.insert(0, templates if isinstance(templates, BaseLoader) else FileSystemLoader(templates))
        self._root = root
        self._environments = {language.tag: _environment(language, ChoiceLoader(loaders)) for language in languages.all}
        self._headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": _policy(style_origin, form_origin),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Language",
        }

    def page(
        self,
        request: Request,
        template: str,
        language: Language,
        values: Mapping[str, Any],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A page, in this language.

        Args:
            request: What asks.
            template: Its name, below ``sessions/``.
            language: The user's.
            values: What the template is given.
            status_code: The answer's.
            headers: More of them.
        """
        base = "" if not request.url.path.endswith(f"/{self._root}") else f"{self._root}/"
        given = {
            "language": language,
            "list_url": list_url(request, self._root),
            "base": base,
            "static": {name: f"{base}static/{name}?v={VERSIONS[name]}" for name in VERSIONS},
            **values,
        }
        text = self._environments[language.tag].get_template(f"sessions/{template}").render(given)
        return HTMLResponse(text, status_code, {**self._headers, **(headers or {})})


def list_url(request: Request, root: str = LIST) -> str:
    """The list of devices, or another root, relative to the page: no scheme, host or prefix has to be known."""
    return root if request.url.path.endswith(f"/{root}") else f"../{root}"


def _environment(language: Language, loader: BaseLoader) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]  # the extension's
    return environment


def _policy(style_origin: str, form_origin: str) -> str:
    rules = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "connect-src": "'self'",
        "form-action": f"'self' {form_origin}",
        "frame-ancestors": "'none'",
        "img-src": "'self'",
        "script-src": "'self'",
        "style-src": f"'self' {style_origin}",
    }
    return "; ".join(f"{name} {value.strip()}" for name, value in rules.items())
