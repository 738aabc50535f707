"""The application of the documentation with a certified provider: logins by Authlib, logouts from either side."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.oidc.company import Company, Employee, company


@pytest.fixture(scope="module")
def our_company(oidc_provider: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    with company(oidc_provider, folder, ASGI_SESSIONS_COOKIE_SECURE="false") as found:
        yield found


@pytest.fixture
def ada(our_company: Company) -> Iterator[Employee]:
    with Employee(our_company) as employee:
        yield employee


@pytest.fixture
def grace(our_company: Company) -> Iterator[Employee]:
    with Employee(our_company) as employee:
        yield employee


def test_one_logout_at_the_provider_ends_the_sessions_in_all_applications(
    our_company: Company, ada: Employee, grace: Employee
) -> None:
    shop, forum = our_company.shop, our_company.forum
    for each, name in ((ada, "ada"), (grace, "grace")):
        each.log_in(shop, name)
        each.log_in(forum, name)
    ada.log_out_at_the_provider()
    assert our_company.told() == {"shop": "told", "forum": "told"}
    assert not ada.is_logged_in(shop)
    assert not ada.is_logged_in(forum)
    assert grace.is_logged_in(shop)
    assert grace.is_logged_in(forum)


def test_a_logout_in_one_browser_leaves_the_same_users_other_browser(our_company: Company, ada: Employee) -> None:
    shop, forum = our_company.shop, our_company.forum
    with Employee(our_company) as her_phone:
        for browser in (ada, her_phone):
            browser.log_in(shop, "ada")
            browser.log_in(forum, "ada")
        her_phone.log_out_at_the_provider()
        our_company.told()
        assert not her_phone.is_logged_in(shop)
        assert ada.is_logged_in(shop)
        assert ada.is_logged_in(forum)


def test_who_logs_out_of_one_application_is_out_of_the_provider_and_of_the_other(
    our_company: Company, ada: Employee
) -> None:
    shop, forum = our_company.shop, our_company.forum
    ada.log_in(shop, "ada")
    ada.log_in(forum, "ada")
    page = ada.log_out(shop)
    assert page.json() == {"message": "You are logged out here, and at your company."}
    assert str(page.url).startswith(f"{shop.address}/company/logged-out?state=")
    assert our_company.told() == {"shop": "told", "forum": "told"}
    assert not ada.is_logged_in(shop)
    assert not ada.is_logged_in(forum)
    assert "password" in ada.client.get(f"{forum.address}/company/login").text, "the provider asks who she is"


def test_her_session_here_has_ended_before_the_provider_asks_her_anything(our_company: Company, ada: Employee) -> None:
    shop, forum = our_company.shop, our_company.forum
    ada.log_in(shop, "ada")
    ada.log_in(forum, "ada")
    before = ada.cookies_of(shop)
    assert "sAccessToken" in before
    asked = ada.client.post(f"{shop.address}/company/logout", follow_redirects=False)
    assert asked.status_code == 303
    left = {name for name, *_ in (pair.split("=") for pair in ada.cookies_of(shop).split("; "))}
    assert left == {"login_state"}, "all cookies of the session have left, before any answer of the provider"
    assert httpx2.get(f"{shop.address}/me", headers={"Cookie": before}).status_code == 401
    assert ada.is_logged_in(forum), "until she says yes there"


def test_the_address_names_her_by_her_id_token_and_the_application_by_its_id(
    our_company: Company, ada: Employee
) -> None:
    shop = our_company.shop
    ada.log_in(shop, "ada")
    answer = ada.client.post(f"{shop.address}/company/logout", follow_redirects=False)
    to = urlsplit(answer.headers["location"])
    assert f"{to.scheme}://{to.netloc}{to.path}" == f"{our_company.provider.issuer}/session/end"
    query = {name: value for name, (value,) in parse_qs(to.query, strict_parsing=True).items()}
    assert set(query) == {"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}
    assert query["client_id"] == "shop"
    assert query["post_logout_redirect_uri"] == f"{shop.address}/company/logged-out"
    assert len(query["id_token_hint"].split(".")) == 3


@pytest.mark.parametrize("state", ["", "of-somebody-else", "\udcff".encode("utf-8", "surrogateescape"), "x" * 3000])
def test_who_comes_back_with_another_state_is_told_so(our_company: Company, ada: Employee, state: str | bytes) -> None:
    shop = our_company.shop
    ada.log_in(shop, "ada")
    ada.client.post(f"{shop.address}/company/logout", follow_redirects=False)
    address = f"{shop.address}/company/logged-out"
    answer = ada.client.get(f"{address}?{urlencode({'state': state})}")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "This browser has not begun this logout."}


def test_a_state_counts_once_and_in_its_own_browser_alone(our_company: Company, ada: Employee, grace: Employee) -> None:
    shop = our_company.shop
    ada.log_in(shop, "ada")
    page = ada.log_out(shop)
    assert page.status_code == 200
    assert ada.client.get(str(page.url)).status_code == 400
    assert grace.client.get(str(page.url)).status_code == 400


def test_the_provider_sends_nobody_to_an_address_that_is_not_registered(our_company: Company, ada: Employee) -> None:
    shop = our_company.shop
    ada.log_in(shop, "ada")
    wrong = {"client_id": "shop", "post_logout_redirect_uri": "https://evil.example/"}
    page = ada.client.get(f"{our_company.provider.issuer}/session/end?{urlencode(wrong)}")
    assert page.status_code == 400
    assert "post_logout_redirect_uri not registered" in page.text


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "mismatching_state"),
        ("?code=made-up&state=made-up", "mismatching_state"),
        ("?error=access_denied&state=made-up", "access_denied"),
    ],
)
def test_a_callback_that_nobody_has_asked_for_is_no_login_and_no_fault_of_ours(
    our_company: Company, ada: Employee, query: str, error: str
) -> None:
    answer = ada.client.get(f"{our_company.shop.address}/company/callback{query}")
    assert answer.status_code == 403
    assert answer.json() == {"detail": f"The login was not finished: {error}."}
    assert not ada.is_logged_in(our_company.shop)


def test_a_callback_of_another_browser_logs_nobody_in(our_company: Company, ada: Employee, grace: Employee) -> None:
    shop = our_company.shop
    ada.log_in(our_company.forum, "ada")
    begun = ada.client.get(f"{shop.address}/company/login", follow_redirects=False)
    callback = ada.client.get(begun.headers["location"], follow_redirects=False).headers["location"]
    assert callback.startswith(f"{shop.address}/company/callback?code=")
    assert grace.client.get(callback).status_code == 403
    assert not grace.is_logged_in(shop)


def test_a_code_that_the_provider_does_not_take_is_no_login(our_company: Company, ada: Employee) -> None:
    shop = our_company.shop
    begun = ada.client.get(f"{shop.address}/company/login", follow_redirects=False)
    (state,) = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    answer = ada.client.get(f"{shop.address}/company/callback?{urlencode({'code': 'made-up', 'state': state})}")
    assert answer.status_code == 403
    assert answer.json() == {"detail": "The login was not finished: invalid_grant."}
