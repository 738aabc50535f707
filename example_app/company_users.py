"""Users who come from the company: each has an account here of her own, without a password."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from example_app.accounts import LONGEST_NAME
from example_app.database import Database
from example_app.users import LONGEST_KEY, NameTaken, User, Users, name_key

_company_users = Table(
    "example_company_users",
    MetaData(),
    Column("account", String(64), primary_key=True),  # a digest of issuer and subject
    Column("user_id", BigInteger, nullable=False),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)
_TAIL = 7
"""Characters that tell apart who have one name: a space, and six digits."""


class CompanyUsers:
    """Finds the user of a company's account, or makes one.

    Args:
        database: Where the table is.
        users: All users.
    """

    def __init__(self, database: Database, users: Users) -> None:
        self._database = database
        self._users = users

    async def create_table(self) -> None:
        await self._database.create_table(_company_users)

    async def user_of(self, claims: Mapping[str, Any]) -> User:
        """The user of this issuer and subject: never of this name or e-mail address, which may have been another's.

        Args:
            claims: Of an ID token, verified.
        """
        account = hashlib.sha256(json.dumps([claims["iss"], claims["sub"]]).encode()).hexdigest()
        if (known := await self._known(account)) is not None:
            return known
        user = await self._new_user(_name_in(claims))
        try:
            async with self._database.engine.connect() as connection:
                await connection.execute(insert(_company_users), {"account": account, "user_id": user.id})
        except IntegrityError:  # of two callbacks at once the other was faster
            await self._users.remove(user.id)
            known = await self._known(account)
            if known is None:
                raise
            return known
        return user

    async def _known(self, account: str) -> User | None:
        query = select(_company_users.c.user_id).where(_company_users.c.account == account)
        async with self._database.engine.connect() as connection:
            user_id = await connection.scalar(query)
        return None if user_id is None else await self._users.get(user_id)

    async def _new_user(self, name: str) -> User:
        try:
            return await self._users.add_without_password(name)
        except NameTaken:  # by somebody who has signed up, or by another of the company
            return await self._users.add_without_password(f"{name} {secrets.randbelow(900_000) + 100_000}")


def _name_in(claims: Mapping[str, Any]) -> str:
    """What the company calls a user, as a name that can be shown here."""
    for claim in ("name", "preferred_username", "email"):
        text = claims.get(claim)
        printable = "".join(c if c.isprintable() else " " for c in text) if isinstance(text, str) else ""
        name = " ".join(printable.split())[: LONGEST_NAME - _TAIL].strip()
        if name_key(name).strip() and len(name_key(name)) <= LONGEST_KEY - _TAIL:
            return name
    return "Somebody"


async def _of_request(request: Request) -> CompanyUsers:
    found: CompanyUsers = request.app.state.company_users
    return found


TheCompanyUsers = Annotated[CompanyUsers, Depends(_of_request)]
