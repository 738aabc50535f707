"""A company: an OpenID provider, two applications that are those of docs/federated-logout.md, and who uses them."""

import html
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.docs.pages import ROOT, files_of
from tests.patience import PATIENCE
from tests.servers import free_port
from tests.uvicorn_server import SECRET, UvicornServer
from tools.openid_provider import PASSWORD, OpenIDProvider

PAGE = ROOT / "docs" / "federated-logout.md"


class Application(UvicornServer):
    """One application, with a database of its own.

    Attributes:
        address: Without a path.
    """

    def __init__(
        self, name: str, host: str, port: int, issuer: str, folder: Path, *, workers: int, **settings: str
    ) -> None:
        folder.mkdir()
        for file, text in files_of(PAGE).items():
            (folder / file).write_text(text)
        self.name = name
        self.address = f"http://{host}:{port}"
        given = {
            "ASGI_SESSIONS_SECRET_KEY": SECRET,
            "COMPANY_ISSUER": issuer,
            "COMPANY_CLIENT_ID": name,
            "COMPANY_CLIENT_SECRET": f"the secret of {name}",
            "LOGIN_STATE_KEY": SECRET,
            **settings,
        }
        super().__init__("tests.oidc.company_app:app", folder, given, workers=workers, port=port)


def registered(name: str, host: str, port: int) -> dict[str, Any]:
    """An application as the provider knows it."""
    address = f"http://{host}:{port}"
    return {
        "client_id": name,
        "client_secret": f"the secret of {name}",
        "redirect_uris": [f"{address}/company/callback"],
        "post_logout_redirect_uris": [f"{address}/company/logged-out"],
        "backchannel_logout_uri": f"http://127.0.0.1:{port}/auth/oidc/backchannel-logout",
    }


class Company:
    """All of it, running.

    Attributes:
        provider: Where employees sign in.
        shop, forum: On two hosts, so that no cookie of one reaches the other. The forum has its middlewares the other
            way round.
    """

    def __init__(self, provider: OpenIDProvider, shop: Application, forum: Application) -> None:
        self.provider, self.shop, self.forum = provider, shop, forum

    def told(self) -> dict[str, str]:
        """What the provider says of the next two logouts that it tells: of each application whether it could."""
        said = [self.provider.next_told(PATIENCE) for _ in range(2)]
        return {each["client"]: each.get("error", each["what"]) for each in said}


@contextmanager
def company(
    module: Path, folder: Path, *, workers: int = 1, shop: dict[str, str] | None = None, **settings: str
) -> Iterator[Company]:
    """Start one.

    Args:
        module: The provider's.
        folder: Empty.
        workers: Of each application.
        shop: Settings that one of the two has alone.
        **settings: Of both.
    """
    (place, other, at) = (free_port() for _ in range(3))
    hosts = (("shop", "localhost", place), ("forum", "127.0.0.1", other))
    clients = [registered(*each) for each in hosts]
    with ExitStack() as stack:
        provider = stack.enter_context(OpenIDProvider(module, at, clients))
        apps = []
        for (name, host, port), own in zip(hosts, (shop or {}, {"REVERSED_MIDDLEWARE": "1"}), strict=True):
            app = Application(name, host, port, provider.issuer, folder / name, workers=workers, **(settings | own))
            stack.callback(app.close)
            apps.append(app)
        for app in apps:
            app.wait_until_started()
        yield Company(provider, *apps)


class Employee:
    """A browser as far as redirects, forms and cookies go. As a context manager."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self.client = httpx2.Client(follow_redirects=True, timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def log_in(self, application: Application, name: str) -> None:
        """Log in through the provider; where its session stands it asks for nothing."""
        answer = self.client.get(f"{application.address}/company/login")
        if "password" in answer.text:
            form = {"login": name, "password": PASSWORD}
            answer = self.client.post(str(answer.url), data=form)
        assert str(answer.url) == f"{application.address}/", answer.text
        assert self.is_logged_in(application)

    def is_logged_in(self, application: Application) -> bool:
        answer = self.client.get(f"{application.address}/me")
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200

    def cookies_of(self, application: Application) -> str:
        """As a header."""
        request = self.client.build_request("GET", application.address)
        return str(request.headers.get("cookie", ""))

    def log_out(self, application: Application) -> httpx2.Response:
        """Press the application's button, and the provider's; the page at the end."""
        return self.confirm(self.client.post(f"{application.address}/company/logout"))

    def log_out_at_the_provider(self) -> httpx2.Response:
        return self.confirm(self.client.get(f"{self._company.provider.issuer}/session/end"))

    def confirm(self, page: httpx2.Response) -> httpx2.Response:
        """Say yes to the provider's question."""
        assert "Sign out of everything?" in page.text, page.text
        action, xsrf = (
            found_in(page.text, pattern) for pattern in (r'action="([^"]+)"', r'name="xsrf" value="([^"]+)"')
        )
        return self.client.post(str(page.url.join(action)), data={"xsrf": xsrf, "logout": "yes"})


def found_in(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return html.unescape(found[1])
