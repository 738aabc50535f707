"""Signing up and in, for the pages and the API alike."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from example_app.passwords import Passwords
from example_app.users import LONGEST_KEY, User, Users, name_key

LONGEST_NAME = 40
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 200


def _unicode(text: str) -> str:
    # JSON can carry half a character, which neither the database nor the hash can.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("unicode", "Not valid Unicode text.")
    return text


def _secret_unicode(text: SecretStr) -> SecretStr:
    _unicode(text.get_secret_value())
    return text


Text = Annotated[str, AfterValidator(_unicode)]
SecretText = Annotated[SecretStr, AfterValidator(_secret_unicode)]
StaySignedIn = Annotated[bool, Field(description="Whether the session outlives the browser.")]


def _new_name(name: str) -> str:
    name = " ".join(name.split(" ")).strip()
    if not 1 <= len(name) <= LONGEST_NAME or len(name_key(name)) > LONGEST_KEY:
        raise PydanticCustomError("name_length", f"A name has 1 to {LONGEST_NAME} characters.")
    if not name.isprintable() or not name_key(name).strip():
        raise PydanticCustomError("name_characters", "Please use visible characters only.")
    return name


def _new_password(password: SecretStr) -> SecretStr:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise PydanticCustomError(
            "password_length", f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
        )
    return password


class NewAccount(BaseModel):
    """A name and a password for signing up."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Annotated[Text, AfterValidator(_new_name)] = Field(
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME}, examples=["Ada"]
    )
    password: Annotated[SecretText, AfterValidator(_new_password)] = Field(
        json_schema_extra={"minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD},
        examples=["correct horse battery staple"],
    )
    stay_signed_in: StaySignedIn = False


class Credentials(BaseModel):
    """A name and a password for signing in. Anything may be typed there; it is right or wrong."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Text = Field(examples=["Ada"])
    password: SecretText = Field(examples=["correct horse battery staple"])
    stay_signed_in: StaySignedIn = False


class Accounts:
    """Users and their passwords."""

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self.users = users
        self._passwords = passwords

    async def sign_up(self, account: NewAccount) -> User:
        """Keep a new user.

        Raises:
            NameTaken: Signing up tells that a name is in use; only an e-mail to confirm could hide it.
        """
        password_hash = await self._passwords.hash(account.password.get_secret_value())
        return await self.users.add(account.name, password_hash)

    async def sign_in(self, credentials: Credentials) -> User | None:
        """The user, or None; nothing tells whether the name or the password was wrong."""
        user = await self.users.find(credentials.name.strip())
        password_hash = user.password_hash if user else None
        right = await self._passwords.verify(password_hash, credentials.password.get_secret_value())
        return user if right else None


async def _accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.accounts
    return accounts


TheAccounts = Annotated[Accounts, Depends(_accounts)]
