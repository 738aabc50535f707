"""One-time codes: made here, kept as hashes, good for five minutes, once, and in one session. Few may be tried."""

import secrets
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from example_app.database import Database
from example_app.passwords import Passwords

DIGITS = 6
GOOD_FOR = 5 * 60
"""Seconds."""
TRIES = 5
"""Wrong codes of a user before no more are taken, in however many sessions and for however many codes."""
TRIES_COUNT_FOR = 15 * 60
"""Seconds from the first of them."""

_codes = Table(
    "example_codes",
    MetaData(),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code_hash", String(200), nullable=True),  # NULL when it was used
    Column("good_until", BigInteger, nullable=False),  # seconds since the epoch
    Column("tries", Integer, nullable=False),
    Column("tries_until", BigInteger, nullable=False),  # when the tries are forgotten
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)


class TooManyTries(Exception):
    """This user has typed too many wrong codes; for some minutes none is taken, not even a right one."""


def _digits(code: SecretStr) -> SecretStr:
    text = "".join(code.get_secret_value().split())
    if len(text) != DIGITS or not text.isascii() or not text.isdigit():
        raise PydanticCustomError("code", f"A code has {DIGITS} digits.")
    return SecretStr(text)


class TypedCode(BaseModel):
    """A one-time code as somebody has typed it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    code: Annotated[SecretStr, AfterValidator(_digits)] = Field(examples=["123456"])


class Codes:
    """The codes of all users: one row each, with the latest code.

    Args:
        database: Where they are.
        passwords: Hashes them: a fast hash of six digits could be tried out within their five minutes.
        clock: Seconds since the epoch.
    """

    def __init__(self, database: Database, passwords: Passwords, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock

    async def create_table(self) -> None:
        await self._database.create_table(_codes)

    async def make(self, user_id: int, session_handle: str) -> str:
        """A new code, which only this session can use. The one before opens nothing any more.

        Raises:
            TooManyTries: No code would be taken.
        """
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        code_hash = await self._passwords.hash(_bound(code, session_handle))
        now = int(self._clock())
        kept = {"code_hash": code_hash, "good_until": now + GOOD_FOR}
        async with self._database.engine.connect() as connection:
            row = (await connection.execute(select(_codes).where(_codes.c.user_id == user_id))).one_or_none()
            if row is not None and row.tries >= TRIES and row.tries_until > now:
                raise TooManyTries
            if row is None:
                try:
                    await connection.execute(insert(_codes), {"user_id": user_id, "tries": 0, "tries_until": 0, **kept})
                    return code
                except IntegrityError:
                    pass  # another tab was first, by a moment
            await connection.execute(update(_codes).where(_codes.c.user_id == user_id).values(kept))
        return code

    async def use(self, user_id: int, session_handle: str, typed: TypedCode) -> bool:
        """Whether this is the code. It is used up then, and the wrong ones before it are forgotten.

        Raises:
            TooManyTries: This one was not even looked at.
        """
        now = int(self._clock())
        this_user = _codes.c.user_id == user_id
        async with self._database.engine.connect() as connection:
            forget = {"tries": 0, "tries_until": now + TRIES_COUNT_FOR}
            await connection.execute(update(_codes).where(this_user, _codes.c.tries_until <= now).values(forget))
            # Counted before the code is looked at: of many that come at once, no more than these few are.
            count = update(_codes).where(this_user, _codes.c.tries < TRIES).values(tries=_codes.c.tries + 1)
            counted = (await connection.execute(count)).rowcount
            row = (await connection.execute(select(_codes).where(this_user))).one_or_none()
        if row is not None and not counted:
            raise TooManyTries
        code_hash: str | None = row.code_hash if row is not None and row.good_until > now else None
        if not await self._passwords.verify(code_hash, _bound(typed.code.get_secret_value(), session_handle)):
            return False
        once = update(_codes).where(this_user, _codes.c.code_hash == code_hash).values(code_hash=None, tries=0)
        async with self._database.engine.connect() as connection:
            return (await connection.execute(once)).rowcount == 1


def _bound(code: str, session_handle: str) -> str:
    return f"{code} {session_handle}"


async def _of_the_application(request: Request) -> Codes:
    codes: Codes = request.app.state.codes
    return codes


TheCodes = Annotated[Codes, Depends(_of_the_application)]
