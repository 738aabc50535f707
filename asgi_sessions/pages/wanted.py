"""Which sessions an administrator asks for, as an address or a form says it: a user's, or what belongs to something."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qs, urlencode

from starlette.exceptions import HTTPException

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.listing import MAX_PAGE
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.records import SessionRecord, read_cursor
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.session_index import entry
from asgi_sessions.protocol.user_id import UserId

__all__ = [
    "MOST_FOUND",
    "TYPES",
    "Belonging",
    "Fields",
    "OfUser",
    "Unfindable",
    "Wanted",
    "cursor_of",
    "unfolded",
    "wanted_of",
]

Fields: TypeAlias = Mapping[str, Sequence[str]]
"""Names, each with all its values."""

TYPES: Final = ("str", "int", "uuid")
"""Of user ids."""
MOST_FOUND: Final = MAX_PAGE
"""Sessions that a question looks at: one statement reads them."""
_MOST_ABOUT: Final = 10


class Unfindable(Exception):
    """No session can be found by this.

    Args:
        why: ``integer``, ``uuid``, ``id``: it is no user id of its type; ``name``: it is no name of an index.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Wanted(Protocol):
    """Some sessions."""

    @property
    def fields(self) -> dict[str, str]:
        """What an address and a form say to mean these."""

    @property
    def facts(self) -> dict[str, Any]:
        """The same for the audit log."""

    async def page(self, sessions: SessionManager, *, limit: int, after: str | None) -> Sequence[SessionRecord[Any]]:
        """Those that live, newest first; see `SessionManager.list_sessions_for_user`."""

    async def namesakes(self, sessions: SessionManager) -> Sequence[tuple["OfUser", int]]:
        """Whoever may be meant in their place, and how many sessions that user has."""

    async def end_all(self, sessions: SessionManager, *, but: str) -> int:
        """End all but this one; returns how many."""


@dataclass(frozen=True, slots=True)
class OfUser:
    """A user's."""

    user: UserId

    @property
    def text(self) -> str:
        """The id without its type."""
        return user_id.split(self.user)[0]

    @property
    def type(self) -> str:
        """One of `TYPES`."""
        return user_id.type_name(self.user)

    @property
    def fields(self) -> dict[str, str]:
        return {"user": self.text, "type": self.type}

    @property
    def query(self) -> str:
        """The same in an address."""
        return urlencode(self.fields)

    @property
    def facts(self) -> dict[str, Any]:
        return {"user_id": self.user}

    async def page(self, sessions: SessionManager, *, limit: int, after: str | None) -> Sequence[SessionRecord[Any]]:
        return await sessions.list_sessions_for_user(self.user, limit=limit, after=after)

    async def namesakes(self, sessions: SessionManager) -> Sequence[tuple["OfUser", int]]:
        try:
            return [(OfUser(other), count) for other, count in await sessions.lifecycle.lists.namesakes_of(self.user)]
        except StoreUnavailable:
            return ()  # the list that was asked for is there

    async def end_all(self, sessions: SessionManager, *, but: str) -> int:
        return await sessions.revoke_all_sessions_for_user(self.user, except_handle=but)


@dataclass(frozen=True, slots=True)
class Belonging:
    """Those that belong to something; see `SessionManager.list_sessions_by_index`."""

    name: str
    value: str

    @property
    def fields(self) -> dict[str, str]:
        return {"name": self.name, "value": self.value}

    @property
    def facts(self) -> dict[str, Any]:
        return {"index_name": self.name, "index_value": self.value}

    async def page(self, sessions: SessionManager, *, limit: int, after: str | None) -> Sequence[SessionRecord[Any]]:
        return await sessions.list_sessions_by_index(self.name, self.value, limit=limit, after=after)

    async def namesakes(self, sessions: SessionManager) -> Sequence[tuple["OfUser", int]]:
        return ()

    async def end_all(self, sessions: SessionManager, *, but: str) -> int:
        return await sessions.revoke_sessions_by_index(self.name, self.value, except_handle=but)


def unfolded(fields: Fields) -> Fields:
    """The fields, where a form of ours has sent them as one: ``of``, as an address has them.

    So they come back as they were. Browsers change the line breaks in a field, and a user id may have some.

    Raises:
        HTTPException: 400: no form of ours sends this.
    """
    if "of" not in fields:
        return fields
    try:
        about = parse_qs(_one(fields, "of"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_ABOUT)
    except ValueError:
        raise HTTPException(400) from None
    return {**about, "session": fields.get("session", ())}


def wanted_of(fields: Fields) -> OfUser | Belonging:
    """What is asked for.

    Raises:
        Unfindable: Nothing can be found by this.
        HTTPException: 400: no form of ours asks so.
    """
    if ("user" in fields) is ("name" in fields):
        raise HTTPException(400)
    if "name" in fields:
        name, value = _one(fields, "name"), _one(fields, "value")
        try:
            entry(name, value)
        except ValueError:
            raise Unfindable("name") from None
        return Belonging(name, value)
    kind, text = _one(fields, "type"), _one(fields, "user")
    if kind not in TYPES:
        raise HTTPException(400)
    try:
        return OfUser(user_id.read(text if kind == "str" else text.strip(), kind))
    except ValueError:
        raise Unfindable({"int": "integer", "uuid": "uuid"}.get(kind, "id")) from None


def _one(fields: Fields, name: str) -> str:
    """The value of a field that there must be once.

    Raises:
        HTTPException: 400: it is not.
    """
    values = fields.get(name, ())
    if len(values) != 1:
        raise HTTPException(400)
    return values[0]


def cursor_of(fields: Fields) -> str | None:
    """Where a page of the list begins; None for the first one.

    Raises:
        HTTPException: 400: it is no cursor.
    """
    if "after" not in fields:
        return None
    cursor = _one(fields, "after")
    try:
        read_cursor(cursor)
    except ValueError:
        raise HTTPException(400) from None
    return cursor
