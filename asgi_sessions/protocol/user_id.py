"""User ids as bytes for the database and as claims for the access token, of the type they were given in.

``1``, ``"1"`` and a UUID's text stay three different users: the type is part of the stored form.
"""

import re
import uuid
from contextlib import suppress
from typing import Final

__all__ = [
    "MAX_BYTES",
    "UserId",
    "decode",
    "encode",
    "join",
    "namesakes",
    "plain",
    "read",
    "split",
    "storable",
    "type_name",
]

UserId = str | int | uuid.UUID

MAX_BYTES: Final = 255
"""The longest user id, in bytes of UTF-8, without the tag."""

_INTEGER: Final = re.compile(r"-?[0-9]+")

# Integers of more bits have more than MAX_BYTES digits. Looked at first, because Python refuses to print very
# long integers (and takes quadratic time where it does not).
_MAX_BITS: Final = 848

_TAGS: Final[dict[str | None, bytes]] = {None: b"s:", "int": b"i:", "uuid": b"u:"}
_KINDS: Final = {tag: kind for kind, tag in _TAGS.items()}


def split(user_id: UserId) -> tuple[str, str | None]:
    """The user id as text and the name of its type, for the claims ``sub`` and ``uit``.

    Args:
        user_id: A string, an integer or a UUID. Instances of subclasses count as the plain type.

    Returns:
        The text and ``"int"``, ``"uuid"`` or, for strings, None.

    Raises:
        TypeError: It is of another type; ``bool`` is another type.
        ValueError: It is longer than ``MAX_BYTES`` bytes or not encodable as UTF-8.
    """
    # The unbound methods: a subclass (an enum, say) may override its own conversion.
    if isinstance(user_id, str):
        text, kind = str.__str__(user_id), None
    elif isinstance(user_id, int) and not isinstance(user_id, bool):
        number = int.__int__(user_id)
        if number.bit_length() > _MAX_BITS:
            raise ValueError(f"user_id is longer than {MAX_BYTES} digits")
        text, kind = str(number), "int"
    elif isinstance(user_id, uuid.UUID):
        text, kind = str(uuid.UUID(int=user_id.int)), "uuid"
    else:
        raise TypeError(f"user_id must be str, int or uuid.UUID, not {type(user_id).__name__}")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        # Without "from": the cause carries the whole text, which may end in a log.
        raise ValueError("user_id holds a lone surrogate, which UTF-8 cannot encode") from None
    if length > MAX_BYTES:
        raise ValueError(f"user_id is longer than {MAX_BYTES} bytes")
    return text, kind


def join(text: str, kind: str | None) -> UserId:
    """The user id that ``split`` took apart.

    Args:
        text: The claim ``sub``.
        kind: The claim ``uit``: ``"int"``, ``"uuid"``, or None for a string.

    Raises:
        ValueError: ``split`` never gave this pair.
    """
    user_id: UserId | None = None
    try:
        if kind is None:
            user_id = text
        elif kind == "int" and len(text) <= MAX_BYTES:
            user_id = int(text)
        elif kind == "uuid":
            user_id = uuid.UUID(text)
        # int() and UUID() read many spellings of one value; two spellings of one user must not exist.
        if user_id is not None and split(user_id) == (text, kind):
            return user_id
    except ValueError:
        pass  # its text would show the user id
    raise ValueError("not a user id")


def encode(user_id: UserId) -> bytes:
    """The form in which the database holds the user id: ``b"s:…"``, ``b"i:42"`` or ``b"u:<uuid>"``.

    Raises:
        TypeError: It is not a string, an integer or a UUID.
        ValueError: It is longer than ``MAX_BYTES`` bytes or not encodable as UTF-8.
    """
    text, kind = split(user_id)
    return _TAGS[kind] + text.encode()


def decode(stored: bytes) -> UserId:
    """The user id that ``encode`` made into these bytes, of its type.

    Raises:
        ValueError: ``encode`` never made these bytes.
    """
    tag = bytes(stored[:2])
    if tag not in _KINDS:
        raise ValueError("not a user id")
    # What is no UTF-8 becomes a lone surrogate, which join refuses.
    return join(bytes(stored[2:]).decode(errors="surrogateescape"), _KINDS[tag])


def storable(user_id: UserId) -> bytes | None:
    """The stored form for a look-up; None where no user of that id can exist (too long, not encodable).

    Raises:
        TypeError: It is not a string, an integer or a UUID.
    """
    try:
        return encode(user_id)
    except ValueError:
        return None


def read(text: str, kind: str) -> UserId:
    """The user that an administrator means who has typed this.

    Args:
        text: The id.
        kind: Its type: ``"str"``, ``"int"`` or ``"uuid"``.

    Raises:
        ValueError: It is none of that type, or cannot be a user. The text, such as "is no UUID", does not show it.
    """
    owner: UserId = text
    if kind == "int":
        # Python refuses to read longer ones; no user has them.
        if not _INTEGER.fullmatch(text) or len(text) > MAX_BYTES:
            raise ValueError(f"is no integer of at most {MAX_BYTES} digits")
        owner = int(text)
    elif kind == "uuid":
        try:
            owner = uuid.UUID(text)
        except ValueError:
            raise ValueError("is no UUID") from None
    elif kind != "str":
        raise ValueError("is of no type of user ids")
    try:
        encode(owner)
    except ValueError as error:
        raise ValueError(f"cannot be a user: {error}") from None
    return owner


def plain(user_id: UserId) -> str | int:
    """The user id as JSON: a number for an `int`, else a string. Not to be read back: the type of a UUID is lost."""
    return user_id if isinstance(user_id, str | int) else str(user_id)


def type_name(user_id: UserId) -> str:
    """``"str"``, ``"int"`` or ``"uuid"``.

    Raises:
        TypeError: It is of another type.
        ValueError: It cannot be a user id.
    """
    return split(user_id)[1] or "str"


def namesakes(user_id: UserId) -> list[UserId]:
    """The other users that somebody may mean who writes this one: of the same text and another type.

    A UUID that is written otherwise than ``str(uuid)`` does also stands for that text.
    """
    text, _ = split(user_id)
    same: list[UserId] = [text]
    if _INTEGER.fullmatch(text) and len(text) <= MAX_BYTES:
        same.append(int(text))
    with suppress(ValueError):
        same += (parsed := uuid.UUID(text)), str(parsed)
    encoded = {stored: other for other in same if (stored := storable(other)) is not None}
    encoded.pop(encode(user_id), None)
    return list(encoded.values())
