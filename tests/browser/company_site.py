"""The example beside a company's provider, as `make run-oidc` starts them, and somebody with a company's account."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.person import Person
from tests.servers import free_port
from tests.uvicorn_server import SECRET, UvicornServer
from tools.openid_provider import PASSWORD, OpenIDProvider
from tools.openid_provider.__main__ import client, variables


@dataclass(frozen=True)
class CompanySite:
    """Both, running.

    Attributes:
        provider: The company's.
        address: The example's.
    """

    provider: OpenIDProvider
    address: str


@contextmanager
def company_site(module: Path, folder: Path) -> Iterator[CompanySite]:
    """Start both.

    Args:
        module: The provider's.
        folder: Empty.
    """
    port = free_port()
    address = f"http://localhost:{port}"
    with ExitStack() as stack:
        provider = stack.enter_context(OpenIDProvider(module, free_port(), [client(address, SECRET)]))
        settings = variables(provider.issuer, SECRET, folder)
        stack.enter_context(UvicornServer("example_app.main:app", folder, settings, port=port))
        yield CompanySite(provider, address)


class Employee(Person):
    """Uses one browser."""

    def __init__(self, browser: Chrome, site: CompanySite) -> None:
        super().__init__(browser, site.address)

    def sign_in_with_the_company(self, name: str) -> None:
        self.visit("/sign-in")
        self.follows("Sign in with your company", within="main p:has(a[href^='/company'])")
        self.sees_heading("Sign in")
        self.is_in_field("login")
        self.fill_in_at_the_provider(name)
        self.press("Sign in")

    def fill_in_at_the_provider(self, name: str) -> None:
        for field, text in (("login", name), ("password", PASSWORD)):
            self.browser.find_element(By.ID, field).send_keys(text)
