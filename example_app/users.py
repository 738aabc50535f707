"""The users' table. The library knows users by their id alone; everything else about them is the application's."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, delete, insert, select
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError

from example_app.database import Database

NO_PASSWORD = ""
"""In place of a hash: no password is right."""
LONGEST_KEY = 160
"""Characters. Some letters become several when their case is folded."""

# Compared byte by byte everywhere: MySQL's usual collations take é for e, and one emoji for another.
_exact_text = String(LONGEST_KEY).with_variant(mysql.VARCHAR(LONGEST_KEY, collation="utf8mb4_bin"), "mysql", "mariadb")

_users = Table(
    "example_users",
    MetaData(),
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name_key", _exact_text, nullable=False, unique=True),
    Column("name", String(40), nullable=False),
    Column("password_hash", String(200), nullable=False),
    # True once and else NULL, so that of two first users who sign up at the same moment only one becomes admin.
    Column("is_admin", Boolean, nullable=True, unique=True),
    Column("created_at", BigInteger, nullable=False),  # seconds since the epoch
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)


class NameTaken(Exception):
    """Somebody of this name has signed up already."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has signed up."""

    id: int
    name: str
    password_hash: str = field(repr=False)
    is_admin: bool
    created_at: datetime


def name_key(name: str) -> str:
    """What two spellings of one name have in common, so that nobody signs up as somebody else's look-alike."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class Users:
    """The table behind its queries.

    Args:
        database: Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_table(self) -> None:
        await self._database.create_table(_users)

    async def add(self, name: str, password_hash: str) -> User:
        """Keep a new user; the very first who signs up becomes the administrator.

        Raises:
            NameTaken: There is one of that name.
        """
        if not await self._has_administrator():
            try:
                return await self._insert(name, password_hash, is_admin=True)
            except NameTaken:
                pass  # or somebody else was first, by a moment
        return await self._insert(name, password_hash, is_admin=None)

    async def add_without_password(self, name: str) -> User:
        """Keep a new user who signs in elsewhere, and never becomes the administrator by that.

        Raises:
            NameTaken: There is one of that name.
        """
        return await self._insert(name, NO_PASSWORD, is_admin=None)

    async def remove(self, user_id: int) -> None:
        """Forget a user whom nobody knows yet."""
        async with self._database.engine.connect() as connection:
            await connection.execute(delete(_users).where(_users.c.id == user_id))

    async def find(self, name: str) -> User | None:
        """The user of this name, however it is capitalised."""
        key = name_key(name)
        if len(key) > LONGEST_KEY or "\0" in key:  # PostgreSQL knows no NUL in text
            return None
        rows = await self._rows(select(_users).where(_users.c.name_key == key))
        return rows[0] if rows else None

    async def get(self, user_id: int) -> User | None:
        """The user of this number."""
        rows = await self._rows(select(_users).where(_users.c.id == user_id))
        return rows[0] if rows else None

    async def newest(self, limit: int) -> list[User]:
        """So many users, the latest first."""
        return await self._rows(select(_users).order_by(_users.c.id.desc()).limit(limit))

    async def _has_administrator(self) -> bool:
        async with self._database.engine.connect() as connection:
            return await connection.scalar(select(_users.c.id).where(_users.c.is_admin.is_(True))) is not None

    async def _insert(self, name: str, password_hash: str, *, is_admin: bool | None) -> User:
        now = datetime.now(UTC).replace(microsecond=0)
        row = {
            "name": name,
            "name_key": name_key(name),
            "password_hash": password_hash,
            "is_admin": is_admin,
            "created_at": int(now.timestamp()),
        }
        async with self._database.engine.connect() as connection:
            try:
                result = await connection.execute(insert(_users), row)
            except IntegrityError:
                raise NameTaken from None
            user_id: int = result.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has one
        return User(user_id, name, password_hash, bool(is_admin), now)

    async def _rows(self, query: Any) -> list[User]:
        async with self._database.engine.connect() as connection:
            found: Sequence[Any] = (await connection.execute(query)).all()
        return [
            User(row.id, row.name, row.password_hash, bool(row.is_admin), datetime.fromtimestamp(row.created_at, UTC))
            for row in found
        ]
