"""Users who sign in at their company: an account of their own, and a logout that reaches both sides."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from example_app.company import company_of
from example_app.company_users import CompanyUsers, _name_in
from example_app.database import Database
from example_app.users import Users
from tests.oidc.company import Employee
from tests.patience import PATIENCE
from tests.servers import free_port
from tests.uvicorn_server import SECRET, UvicornServer
from tools.openid_provider import PASSWORD, OpenIDProvider
from tools.openid_provider.__main__ import client, variables

NAMES = ("EXAMPLE_OIDC_ISSUER", "EXAMPLE_OIDC_CLIENT_ID", "EXAMPLE_OIDC_CLIENT_SECRET")


@pytest.fixture(scope="module")
def ours(oidc_provider: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The example and a provider, as `make run-oidc` starts them."""
    folder = tmp_path_factory.mktemp("company")
    port = free_port()
    address = f"http://localhost:{port}"
    with ExitStack() as stack:
        provider = stack.enter_context(OpenIDProvider(oidc_provider, free_port(), [client(address, SECRET)]))
        settings = {**variables(provider.issuer, SECRET, folder), "ASGI_SESSIONS_COOKIE_SECURE": "false"}
        stack.enter_context(UvicornServer("example_app.main:app", folder, settings, port=port))
        yield SimpleNamespace(provider=provider, address=address)


class CompanyEmployee(Employee):
    def __init__(self, ours: SimpleNamespace) -> None:
        super().__init__(ours)  # type: ignore[arg-type]  # which has a provider
        self.address: str = ours.address

    def sign_in(self, name: str, path: str = "/company/sign-in") -> Any:
        answer = self.client.get(self.address + path)
        if "/interaction/" in str(answer.url):
            answer = self.client.post(str(answer.url), data={"login": name, "password": PASSWORD})
        return answer


@pytest.fixture
def ada(ours: SimpleNamespace) -> Iterator[CompanyEmployee]:
    with CompanyEmployee(ours) as employee:
        yield employee


@pytest.fixture
def grace(ours: SimpleNamespace) -> Iterator[CompanyEmployee]:
    with CompanyEmployee(ours) as employee:
        yield employee


def test_the_form_for_signing_in_offers_the_company_and_leads_on_to_where_somebody_was_going(
    ada: CompanyEmployee,
) -> None:
    page = ada.client.get(f"{ada.address}/devices")
    assert '<a class="button wide" href="/company/sign-in?next=/devices">Sign in with your company</a>' in page.text
    answer = ada.sign_in("ada", "/company/sign-in?next=%2Fdevices")
    assert str(answer.url) == f"{ada.address}/devices"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_way_on_never_leaves_the_site(ada: CompanyEmployee, elsewhere: str) -> None:
    answer = ada.client.get(f"{ada.address}/company/sign-in", params={"next": elsewhere})
    answer = ada.client.post(str(answer.url), data={"login": "ada", "password": PASSWORD})
    assert str(answer.url) == f"{ada.address}/"


def test_who_comes_from_the_company_has_one_account_of_her_own(ada: CompanyEmployee, grace: CompanyEmployee) -> None:
    assert "Hello Ada Lovelace" in ada.sign_in("ada").text
    assert "Hello Grace Hopper" in grace.sign_in("grace").text
    first, other = (each.client.get(f"{each.address}/api/me").json() for each in (ada, grace))
    assert first["user_id"] != other["user_id"]
    assert not first["admin"], "the first who signs up is the administrator, and she has not signed up"
    with CompanyEmployee(ada._company) as again:  # type: ignore[arg-type]
        again.sign_in("ada")
        assert again.client.get(f"{ada.address}/api/me").json()["user_id"] == first["user_id"]


@pytest.mark.parametrize("password", ["", "correct horse", "x" * 200])
def test_no_password_opens_her_account_here(ada: CompanyEmployee, password: str) -> None:
    ada.sign_in("ada")
    name = ada.client.get(f"{ada.address}/api/me").json()["name"]
    with CompanyEmployee(ada._company) as thief:  # type: ignore[arg-type]
        answer = thief.client.post(f"{ada.address}/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 422
        assert "The name or the password is wrong." in answer.text


def test_logging_out_goes_on_to_the_company_and_comes_back(ours: SimpleNamespace, ada: CompanyEmployee) -> None:
    ada.sign_in("ada")
    tag = ada.client.get(f"{ada.address}/auth/session").json()["form_tag"]
    answer = ada.confirm(ada.client.post(f"{ada.address}/log-out", data={"form_tag": tag}))
    assert str(answer.url) == f"{ada.address}/sign-in"
    assert "You are logged out on this device, and at your company." in answer.text
    assert ours.provider.next_told(PATIENCE)["what"] == "told"
    assert "/interaction/" in str(ada.client.get(f"{ada.address}/company/sign-in").url), "the provider asks who she is"


def test_a_logout_at_the_company_ends_the_session_here(ours: SimpleNamespace, ada: CompanyEmployee) -> None:
    ada.sign_in("ada")
    ada.log_out_at_the_provider()
    assert ours.provider.next_told(PATIENCE)["what"] == "told"
    page = ada.client.get(f"{ada.address}/devices")
    assert str(page.url) == f"{ada.address}/sign-in?next=%2Fdevices"
    assert "Your session has ended." in page.text


def test_who_has_signed_in_with_a_password_stays_here_when_she_logs_out(ada: CompanyEmployee) -> None:
    form = {"name": "Somebody of her own", "password": "correct horse"}
    ada.client.post(f"{ada.address}/sign-up", data=form)
    tag = ada.client.get(f"{ada.address}/auth/session").json()["form_tag"]
    page = ada.client.post(f"{ada.address}/log-out", data={"form_tag": tag})
    assert str(page.url) == f"{ada.address}/sign-in"
    assert "You are logged out on this device." in page.text


@pytest.mark.parametrize("query", ["", "?state=made-up&code=made-up", "?error=access_denied&state=x"])
def test_a_callback_that_nobody_has_asked_for_leads_back_to_the_form(ada: CompanyEmployee, query: str) -> None:
    page = ada.client.get(f"{ada.address}/company/callback{query}")
    assert str(page.url) == f"{ada.address}/sign-in"
    assert "Signing in with your company was not finished." in page.text


def test_who_opens_the_page_after_a_logout_without_one_sees_the_form(ada: CompanyEmployee) -> None:
    page = ada.client.get(f"{ada.address}/company/signed-out?state=made-up")
    assert str(page.url) == f"{ada.address}/sign-in"
    assert "logged out" not in page.text


def test_without_a_company_nothing_of_it_is_there() -> None:
    assert company_of({}) is None
    assert company_of(dict.fromkeys(NAMES, "")) is None


@pytest.mark.parametrize("missing", NAMES)
def test_half_a_company_is_a_mistake_that_is_named(missing: str) -> None:
    given = {name: "x" for name in NAMES if name != missing}
    with pytest.raises(RuntimeError, match=missing):
        company_of(given)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "http://127.0.0.1:9/"])
async def test_a_provider_that_does_not_answer_is_named_at_the_start(issuer: str) -> None:
    company = company_of(dict(zip(NAMES, (issuer, "example", "secret"), strict=True)))
    assert company is not None
    with pytest.raises(RuntimeError, match=f"no provider answers at {issuer}"):
        await company.open()


async def test_a_provider_of_another_name_is_not_the_companys(ours: SimpleNamespace) -> None:
    other = ours.provider.issuer.replace("127.0.0.1", "localhost")
    company = company_of(dict(zip(NAMES, (other, "example", "secret"), strict=True)))
    assert company is not None
    with pytest.raises(RuntimeError, match=f"calls itself {ours.provider.issuer}"):
        await company.open()


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada  Lovelace"}, "Ada Lovelace"),
        ({"name": "", "preferred_username": "ada"}, "ada"),
        ({"name": "\u200b\n", "email": "ada@company.example"}, "ada@company.example"),
        ({"name": "Ada\ud800\x00 L"}, "Ada L"),
        ({"name": "A" * 100}, "A" * 33),
        ({"name": "\ufdfa" * 33, "email": "ada@company.example"}, "ada@company.example"),
        ({"name": 7, "email": ["x"]}, "Somebody"),
    ],
)
def test_whatever_the_company_calls_her_she_has_a_name_that_can_be_shown(claims: dict[str, Any], name: str) -> None:
    assert _name_in(claims) == name


async def test_of_two_callbacks_at_once_one_makes_the_account_and_a_taken_name_is_told_apart(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'users.db'}")
    users = Users(database)
    await users.create_table()
    company_users = CompanyUsers(database, users)
    await company_users.create_table()
    await users.add("ADA", "a hash")
    claims = {"iss": "https://login.example", "sub": "1", "name": "Ada"}
    found = await asyncio.gather(*(company_users.user_of(claims) for _ in range(5)))
    assert len({user.id for user in found}) == 1
    assert found[0].name.startswith("Ada ")
    assert found[0].name[4:].isdigit()
    elsewhere = await company_users.user_of(claims | {"iss": "https://other.example"})
    assert elsewhere.id != found[0].id
    assert {user.id for user in await users.newest(10)} == {1, found[0].id, elsewhere.id}
    await database.close()
