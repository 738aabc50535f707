"""The administrators' pages under both frameworks and on two engines: who is found, what ends, and who has done it."""

import logging
import re
import uuid
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionSettings
from tests.clocks import MovableClock
from tests.pages import administrators_site
from tests.pages.administrators_site import FOUND, START, Visitor
from tests.pages.conftest import OpenSite
from tests.pages.site import CHROME, IPHONE, Build, followed, links, text_of, texts


@pytest.fixture(
    params=[administrators_site.fastapi_app, administrators_site.starlette_app], ids=["fastapi", "starlette"]
)
def build(request: pytest.FixtureRequest) -> Build:
    found: Build = request.param
    return found


@pytest.fixture
def sessions(url: str, clock: MovableClock) -> SessionManager:
    """On each engine."""
    secret = {} if url.startswith("sqlite") else {"secret_key": "a-secret-for-these-tests-alone-of-32-bytes-or-more"}
    settings = SessionSettings(database_url=url, max_sessions_per_user=None, **secret)
    return SessionManager(settings, clock=clock)


@pytest.fixture
def site(open_site: OpenSite, build: Build) -> TestClient:
    return open_site(build, place={"203.0.113.1": "Berlin"}.get)


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> "Audit":
    caplog.set_level(logging.INFO, "asgi_sessions.audit")
    return Audit(caplog)


class Audit:
    """What the log says of administrators."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def actions(self) -> list[dict[str, Any]]:
        """Since the last call, without what is None."""
        names = "action", "user_id", "session_handle", "session_handles", "count", "index_name", "index_value"
        told = [record for record in self._caplog.records if vars(record).get("event") == "session.administered"]
        self._caplog.clear()
        for each in told:
            assert (vars(each)["administrator"], each.levelno) == ("root", logging.INFO)
            assert re.fullmatch("[0-9a-f]{32}", vars(each)["administrator_session"])
        found = [{name: vars(record).get(name) for name in names} for record in told]
        return [{name: value for name, value in each.items() if value is not None} for each in found]


def of(user: object, kind: str = "str") -> str:
    return f"{FOUND}?user={user}&type={kind}"


def handles(page: httpx2.Response) -> list[str]:
    return re.findall(r'type="checkbox" id="session-\w+" name="session" value="(\w+)"', page.text)


def chosen(page: httpx2.Response, *which: str) -> str:
    """Where the form of a list leads with these ticked."""
    (about,) = re.findall(r'<input type="hidden" name="of" value="([^"]*)">', page.text)
    query = [("of", about.replace("&amp;", "&")), *(("session", handle) for handle in which)]
    return f"{START}/end?{httpx2.QueryParams(query)}"


def test_one_and_several_sessions_of_a_user_end(site: TestClient, clock: MovableClock, audit: Audit) -> None:
    phone, laptop, desktop = (Visitor(site, "alice", agent=agent) for agent in (IPHONE, CHROME, CHROME))
    stranger = Visitor(site, "bob")
    clock.advance(400)
    root = Visitor(site)
    page = root.get(of("alice"))
    assert texts(page, "h1") == ["Sessions of user alice (str)"]
    assert sorted(texts(page, "h3")) == ["Chrome on Windows", "Chrome on Windows", "Safari on iPhone"]
    assert {"Berlin", "203.0.113.1"} <= set(texts(page, "bdi"))
    assert "Last used 7 minutes ago" in text_of(page)
    assert set(handles(page)) == {phone.handle, laptop.handle, desktop.handle}
    assert audit.actions() == [{"action": "list", "user_id": "alice"}]

    question = root.get(chosen(page, phone.handle))
    assert texts(question, "h1") == ["End 1 session?"]
    assert "This cannot be undone." in text_of(question)
    assert audit.actions() == []
    after = root.get(followed(root.submit(question)))
    assert "1 session has ended." in text_of(after)
    assert set(handles(after)) == {laptop.handle, desktop.handle}
    assert audit.actions()[0] == {"action": "end", "user_id": "alice", "session_handle": phone.handle, "count": 1}
    assert "has ended" not in text_of(root.get(of("alice")))

    both = [laptop.handle, desktop.handle]
    question = root.get(chosen(after, *both))
    assert texts(question, "h1") == ["End 2 sessions?"]
    audit.actions()
    after = root.get(followed(root.submit(question)))
    assert "2 sessions have ended." in text_of(after)
    assert "There is no live session." in text_of(after)
    (told, _) = audit.actions()
    assert set(told.pop("session_handles")) == set(both)
    assert told == {"action": "end", "user_id": "alice", "count": 2}
    assert handles(root.get(of("bob"))) == [stranger.handle]
    again = root.submit(question)
    assert "There was nothing left to end." in text_of(root.get(followed(again)))


def test_all_sessions_of_a_user_end(site: TestClient, audit: Audit) -> None:
    for _ in range(3):
        Visitor(site, "alice")
    root = Visitor(site)
    question = root.get(f"{START}/end-all?user=alice&type=str")
    assert "3 sessions will end." in text_of(question)
    after = root.get(followed(root.submit(question)))
    assert "3 sessions have ended." in text_of(after)
    assert handles(after) == []
    assert audit.actions() == [
        {"action": "end_all", "user_id": "alice", "count": 3},
        {"action": "list", "user_id": "alice"},
    ]
    assert followed(root.get(f"{START}/end-all?user=alice&type=str")) == of("alice")


def test_the_administrators_own_session_ends_only_if_it_is_chosen_alone(site: TestClient, audit: Audit) -> None:
    other, root = Visitor(site), Visitor(site)
    page = root.get(of("root"))
    assert "Your own session" in text_of(page)
    question = root.get(chosen(page, root.handle, other.handle))
    assert texts(question, "h1") == ["End 1 session?"]
    assert "Your own session stays." in text_of(question)
    fields = [root.form_tag, ("of", "user=root&type=str"), ("session", root.handle), ("session", other.handle)]
    assert followed(root.post(f"{START}/end", fields)) == of("root")
    assert handles(root.get(of("root"))) == [root.handle]

    third = Visitor(site)
    question = root.get(f"{START}/end-all?user=root&type=str")
    assert "1 session will end." in text_of(question)
    assert "Your own session stays." in text_of(question)
    root.submit(question)
    page = root.get(of("root"))
    assert handles(page) == [root.handle]
    assert third.get(START).status_code == 303

    question = root.get(chosen(page, root.handle))
    assert texts(question, "h1") == ["End your own session?"]
    audit.actions()
    assert followed(root.submit(question)) == f"/sign-in?next={START}"
    assert audit.actions() == [{"action": "end", "user_id": "root", "session_handle": root.handle, "count": 1}]
    assert root.jar.cookies == {}


def test_the_type_belongs_to_the_id_and_namesakes_are_told(site: TestClient) -> None:
    name = str(uuid.uuid4())
    text, number, named = Visitor(site, "7"), Visitor(site, 7), Visitor(site, name)
    Visitor(site, 7)
    root = Visitor(site)
    page = root.get(of(7))
    assert handles(page) == [text.handle]
    assert "Is another user meant? 7 (int) has 2 sessions." in text_of(page)
    (link,) = links(page, "type=int")
    assert number.handle in handles(root.get(f"{START}/{link}"))
    assert "7 (str) has 1 session." in text_of(root.get(of(7, "int")))
    page = root.get(of(f" {name.upper()} ", "uuid"))
    assert handles(page) == []
    assert f"{name} (str) has 1 session." in text_of(page)
    assert handles(root.get(of(name))) == [named.handle]
    root.submit(root.get(f"{START}/end-all?user=7&type=int"))
    assert handles(root.get(of(7))) == [text.handle]
    assert handles(root.get(of(7, "int"))) == []


def test_who_acts_as_a_user_is_shown(site: TestClient) -> None:
    boss = Visitor(site, 12, jwt_payload={"admin": True})
    boss.take(site.post("/impersonate?user=alice", headers=boss.jar.header))
    page = Visitor(site).get(of("alice"))
    assert "12 (int) acts as the user" in text_of(page)
    refused = boss.get(START)
    assert refused.status_code == 403
    assert "You act as somebody else." in text_of(refused)


def test_sessions_are_found_and_ended_by_what_they_belong_to(site: TestClient, audit: Audit) -> None:
    value = "Ä & Co\n<b>"
    index = {"org": value, "team": ["red"]}
    alice, bob = Visitor(site, "alice", index=index), Visitor(site, 5, index=index)
    outside = Visitor(site, "alice", index={"org": "globex"})
    root = Visitor(site, index=index)
    page = root.get(f"{FOUND}?{httpx2.QueryParams({'name': 'org', 'value': value})}")
    assert texts(page, "h1") == ["Sessions with org = Ä & Co <b>"]
    assert set(handles(page)) == {alice.handle, bob.handle, root.handle}
    assert {"User alice (str)", "User 5 (int)"} <= set(texts(page, "span"))
    assert audit.actions() == [{"action": "list", "index_name": "org", "index_value": value}]
    question = root.get(chosen(page, bob.handle))
    after = root.get(followed(root.submit(question)))
    assert set(handles(after)) == {alice.handle, root.handle}
    assert audit.actions()[0]["session_handle"] == bob.handle

    (link,) = set(links(after, "end-all?"))
    question = root.get(f"{START}/{link}")
    assert "1 session will end." in text_of(question)
    after = root.get(followed(root.submit(question)))
    assert "1 session has ended." in text_of(after)
    assert handles(after) == [root.handle]
    assert audit.actions()[0] == {"action": "end_all", "index_name": "org", "index_value": value, "count": 1}
    assert handles(root.get(of("alice"))) == [outside.handle]


def test_a_hundred_sessions_are_a_page(site: TestClient, clock: MovableClock, sessions: SessionManager) -> None:
    async def many() -> list[str]:
        begun = []
        for _ in range(101):
            clock.advance(1)
            issued = await sessions.create_new_session_without_request("alice")
            begun.append(issued.session.session_handle)
        return begun[::-1]

    assert site.portal is not None
    begun = site.portal.call(many)
    root = Visitor(site)
    first = root.get(of("alice"))
    assert handles(first) == begun[:100]
    (link,) = links(first, "after=")
    second = root.get(f"{START}/{link}")
    assert handles(second) == begun[100:]
    assert links(second, "after=") == []
    question = root.get(chosen(second, *begun[100:]))
    after = root.get(followed(root.submit(question)))
    assert "There are no more sessions." in text_of(after)
    question = root.get(chosen(first, *begun[:100]))
    assert "100 sessions have ended." in text_of(root.get(followed(root.submit(question))))
