"""A page that wants a one-time code: who gets in, and what becomes of wrong, old and foreign codes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from example_app.codes import GOOD_FOR, TRIES, TRIES_COUNT_FOR, Codes, TooManyTries, TypedCode
from example_app.database import Database
from example_app.passwords import Passwords
from tests.example.running_site import Visitor

NewVisitor = Callable[..., Visitor]


def code_by_mail(visitor: Visitor, **form: str) -> str:
    page = visitor.submit("/confirm/code", form)
    assert page.status_code == 200
    (code,) = re.findall(r'<strong class="code">([0-9]{6})</strong>', page.text)
    return str(code)


def another_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_code_opens_the_page_without_a_new_login(member: Visitor, name: str) -> None:
    assert member.get("/your-data").headers["location"] == "/confirm?next=%2Fyour-data"
    before = member.get("/api/me").json()
    assert set(before["authentication_methods"]) == {"pwd"}
    code = code_by_mail(member, next="/your-data")
    assert 'name="next" value="/your-data"' in member.get("/confirm?next=/your-data").text
    spaced = f" {code[:3]} {code[3:]}"
    assert member.submit("/confirm", {"code": spaced, "next": "/your-data"}).headers["location"] == "/your-data"
    page = member.get("/your-data")
    assert page.status_code == 200
    assert name in page.text
    assert "password_hash" not in page.text
    assert before["session_handle"] in page.text
    after = member.get("/api/me").json()
    assert set(after["authentication_methods"]) == {"pwd", "otp"}
    assert after["session_handle"] == before["session_handle"]
    assert re.search(r", by\s+password, one-time code", member.get("/").text)


def test_another_device_of_the_user_needs_a_code_of_its_own(
    member: Visitor, new_visitor: NewVisitor, name: str
) -> None:
    other = new_visitor()
    assert other.sign_in(name).status_code == 303
    code = code_by_mail(member)
    assert other.submit("/confirm", {"code": code}).status_code == 422
    assert member.submit("/confirm", {"code": code}).headers["location"] == "/"
    assert other.get("/your-data").status_code == 303


def test_a_wrong_code_and_one_that_was_used_open_nothing(member: Visitor) -> None:
    code = code_by_mail(member)
    page = member.submit("/confirm", {"code": another_than(code)})
    assert page.status_code == 422
    assert "This code is wrong" in page.text
    assert another_than(code) not in page.text
    assert member.get("/your-data").status_code == 303
    assert member.submit("/confirm", {"code": code}).status_code == 303
    assert member.submit("/confirm", {"code": code}).status_code == 422


def test_after_a_few_wrong_codes_no_more_are_taken_nor_made(
    member: Visitor, new_visitor: NewVisitor, name: str
) -> None:
    code = code_by_mail(member)
    for _ in range(TRIES):
        assert member.submit("/confirm", {"code": another_than(code)}).status_code == 422
    page = member.submit("/confirm", {"code": code})
    assert page.status_code == 429
    assert "Too many wrong codes" in page.text
    assert member.get("/your-data").status_code == 303
    other = new_visitor()
    other.sign_in(name)
    assert other.submit("/confirm/code").status_code == 429
    assert other.post("/api/confirm/code").status_code == 429
    assert other.send("POST", "/api/confirm", json={"code": code}).status_code == 429


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "1" * 10_000, "\0" * 6, "😀"])  # noqa: RUF001
def test_what_is_no_code_is_told_beside_its_field_and_counts_for_no_try(member: Visitor, code: str) -> None:
    right = code_by_mail(member)
    for _ in range(TRIES + 1):
        page = member.submit("/confirm", {"code": code})
        assert page.status_code == 422
        assert "A code has 6 digits." in page.text
    assert member.send("POST", "/api/confirm", json={"code": code}).status_code == 422
    assert member.submit("/confirm", {"code": right}).status_code == 303


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_afterwards_the_browser_stays_on_this_site(member: Visitor, address: str) -> None:
    form = {"code": code_by_mail(member), "next": address}
    assert member.submit("/confirm", form).headers["location"] == "/"


def test_a_program_confirms_with_bodies_alone(member: Visitor) -> None:
    refused = member.get("/api/your-data")
    assert refused.status_code == 403
    assert refused.json()["code"] == "reauthentication_required"
    assert (refused.json()["methods"], refused.json()["max_age"]) == (["otp"], 300)
    sent = member.post("/api/confirm/code").json()
    assert sent["expires_in"] == GOOD_FOR
    wrong = member.send("POST", "/api/confirm", json={"code": another_than(sent["code"])})
    assert (wrong.status_code, wrong.json()) == (422, {"detail": "The code is wrong, or too old."})
    in_the_address = member.send("POST", "/api/confirm", params={"code": sent["code"]})
    assert in_the_address.status_code == 422
    confirmed = member.send("POST", "/api/confirm", json={"code": sent["code"]})
    assert set(confirmed.json()["authentication_methods"]) == {"pwd", "otp"}
    handle = confirmed.json()["session_handle"]
    assert [each["session_handle"] for each in member.get("/api/your-data").json()] == [handle]
    assert set(member.get("/api/devices").json()[0]["authentication_methods"]) == {"pwd", "otp"}


def test_another_sites_form_sends_no_code(member: Visitor) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in ("/confirm", "/confirm/code"):
        assert member.post(path, {"code": "123456"}, headers=foreign).status_code == 403


def test_whoever_acts_as_the_user_cannot_confirm(
    administrator: Visitor, member: Visitor, new_visitor: NewVisitor
) -> None:
    acting = new_visitor()
    acting.sign_in("The Administrator")
    number = member.get("/api/me").json()["user_id"]
    assert acting.submit("/admin/act-as", {"user_id": str(number)}).headers["location"] == "/"
    assert "/your-data" not in acting.get("/").text
    pages = [
        acting.get("/your-data"),
        acting.get("/confirm"),
        acting.submit("/confirm/code"),
        acting.submit("/confirm"),
    ]
    for page in pages:
        assert page.status_code == 403
        assert "Not while you act for another user." in page.text


def test_without_a_session_the_pages_lead_to_the_sign_in_form(visitor: Visitor) -> None:
    assert visitor.get("/your-data").headers["location"] == "/sign-in?next=%2Fyour-data"
    assert visitor.get("/confirm").headers["location"] == "/sign-in?next=%2Fconfirm"
    assert visitor.submit("/confirm", {"code": "123456"}).headers["location"] == "/sign-in"


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def codes(database: Database, clock: Clock) -> Codes:
    weak = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))  # what is slow is no matter here
    codes = Codes(database, weak, clock)
    await codes.create_table()
    return codes


def typed(code: str) -> TypedCode:
    return TypedCode(code=SecretStr(code))


async def test_a_code_is_good_for_five_minutes_and_the_newest_alone(codes: Codes, clock: Clock) -> None:
    assert not await codes.use(1, "here", typed("123456"))
    first = await codes.make(1, "here")
    while (second := await codes.make(1, "here")) == first:
        pass
    assert not await codes.use(1, "here", typed(first))
    clock.now += GOOD_FOR
    assert not await codes.use(1, "here", typed(second))
    third = await codes.make(1, "here")
    clock.now += GOOD_FOR - 1
    assert not await codes.use(2, "here", typed(third))
    assert not await codes.use(1, "there", typed(third))
    assert await codes.use(1, "here", typed(third))


async def test_wrong_codes_count_for_a_user_until_their_time_is_over(codes: Codes, clock: Clock) -> None:
    anothers = await codes.make(2, "another user's")
    for number in range(TRIES):
        code = await codes.make(1, f"session {number}")  # a new code in a new session forgets none of them
        assert not await codes.use(1, f"session {number}", typed(another_than(code)))
    with pytest.raises(TooManyTries):
        await codes.make(1, "here")
    assert await codes.use(2, "another user's", typed(anothers))
    clock.now += TRIES_COUNT_FOR - 1
    with pytest.raises(TooManyTries):
        await codes.use(1, "here", typed(code))
    clock.now += 1
    assert await codes.use(1, "here", typed(await codes.make(1, "here")))


async def test_a_right_code_forgets_the_wrong_ones(codes: Codes) -> None:
    for _ in range(2):
        code = await codes.make(1, "here")
        for _ in range(TRIES - 1):
            assert not await codes.use(1, "here", typed(another_than(code)))
        assert await codes.use(1, "here", typed(code))


async def test_of_many_tries_at_once_only_a_few_are_looked_at_and_a_code_is_used_once(codes: Codes) -> None:
    code = await codes.make(1, "here")
    answers = await asyncio.gather(*(codes.use(1, "here", typed(code)) for _ in range(TRIES)), return_exceptions=True)
    assert answers.count(True) == 1
    code = await codes.make(2, "here")
    wrong = (codes.use(2, "here", typed(another_than(code))) for _ in range(4 * TRIES))
    answers = await asyncio.gather(*wrong, return_exceptions=True)
    assert answers.count(False) == TRIES
    assert sum(isinstance(answer, TooManyTries) for answer in answers) == 3 * TRIES


async def test_two_first_codes_at_once_make_one_row(codes: Codes) -> None:
    made = await asyncio.gather(*(codes.make(1, "here") for _ in range(3)))
    used = [await codes.use(1, "here", typed(code)) for code in made]
    assert used.count(True) == 1


async def test_only_a_hash_is_kept(codes: Codes, database: Database) -> None:
    code = await codes.make(1, "here")
    async with database.engine.connect() as connection:
        row = (await connection.exec_driver_sql("SELECT * FROM example_codes")).one()
    assert row.code_hash.startswith("$argon2id$")
    assert code not in row.code_hash
