"""One running example for all tests of a process: they use names of their own."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.example.running_site import FIREFOX, Site, Visitor


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example on SQLite."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def administrator(site: Site) -> Iterator[Visitor]:
    """The browser of the first user who signed up. One for all tests: it may log nobody out but others."""
    visitor = Visitor(site)
    assert visitor.sign_up("The Administrator").status_code == 303
    yield visitor
    visitor.close()


@pytest.fixture
def new_visitor(site: Site, administrator: Visitor) -> Iterator[Callable[..., Visitor]]:
    """Makes browsers, each with cookies of its own."""
    visitors: list[Visitor] = []

    def make(user_agent: str = FIREFOX) -> Visitor:
        visitors.append(Visitor(site, user_agent))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(new_visitor: Callable[..., Visitor]) -> Visitor:
    """A browser in which nobody is signed in."""
    return new_visitor()


@pytest.fixture
def name() -> str:
    """A name that nobody has."""
    return f"Ada {uuid.uuid4().hex[:12]}"


@pytest.fixture
def member(visitor: Visitor, name: str) -> Visitor:
    """A browser in which somebody of that name has just signed up, and has seen the page after that."""
    assert visitor.sign_up(name).status_code == 303
    assert visitor.is_signed_in
    return visitor
