"""The types of the settings: how each one's values are read.

Every error says what would be right and never repeats the value, which may be a secret in the wrong place.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, SecretStr

from asgi_sessions.settings.channel_url import read_channel_url
from asgi_sessions.settings.cookie_values import (
    read_domain,
    read_each_path,
    read_older_domain,
    read_older_prefix,
    read_path,
    read_prefix,
)
from asgi_sessions.settings.database_url import read_database_url
from asgi_sessions.settings.origins import read_origin
from asgi_sessions.settings.secret_key import read_secrets
from asgi_sessions.settings.values import optional, read_list, read_switch, whole_number

_LONGEST_TABLE_PREFIX = 40  # PostgreSQL cuts names at 63 characters, and index names add to ours


def _close_code(value: object) -> int:
    try:
        return whole_number(1008, 1008)(value)
    except ValueError:
        pass
    try:
        return whole_number(3000, 4999)(value)
    except ValueError:
        raise ValueError("must be 1008 or a whole number, from 3000 to 4999") from None


def _table_prefix(value: object) -> str:
    # Not empty: our alembic_version table would be the application's.
    if not isinstance(value, str) or not re.fullmatch(rf"[A-Za-z0-9_]{{1,{_LONGEST_TABLE_PREFIX}}}", value.strip()):
        raise ValueError(f"must be 1 to {_LONGEST_TABLE_PREFIX} letters, digits and underscores")
    return value.strip()


def _audience(value: object) -> str:
    # It takes room in a cookie of 4096 bytes.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._~:/-]{1,64}", value.strip()):
        raise ValueError('must be 1 to 64 letters, digits and any of "._~:/-", such as https://staff.example.com')
    return value.strip()


def _async_callable(value: object) -> object:
    if not callable(value):
        raise ValueError("must be an async callable, which only Python code can give")
    if not inspect.iscoroutinefunction(value) and not inspect.iscoroutinefunction(type(value).__call__):
        raise ValueError('must be async: define it with "async def"')
    return value


Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], BeforeValidator(read_secrets)]
DatabaseUrl: TypeAlias = Annotated[SecretStr, BeforeValidator(read_database_url)]
ChannelUrl: TypeAlias = Annotated[SecretStr | None, optional(read_channel_url)]
Path: TypeAlias = Annotated[str, BeforeValidator(read_path)]
Domain: TypeAlias = Annotated[str | None, optional(read_domain)]
OlderDomains: TypeAlias = Annotated[
    tuple[str | None, ...], BeforeValidator(lambda value: read_list(value, read_older_domain))
]
OlderPrefixes: TypeAlias = Annotated[
    tuple[str | None, ...], BeforeValidator(lambda value: read_list(value, read_older_prefix))
]
OlderPaths: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: read_list(value, read_each_path))]
Paths: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: read_list(value, read_each_path))]
Origins: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: read_list(value, read_origin))]
CookiePrefix: TypeAlias = Annotated[str | None, BeforeValidator(read_prefix)]
TablePrefix: TypeAlias = Annotated[str, BeforeValidator(_table_prefix)]
Audience: TypeAlias = Annotated[str | None, optional(_audience)]
Switch: TypeAlias = Annotated[bool, BeforeValidator(read_switch)]
OptionalSwitch: TypeAlias = Annotated[bool | None, optional(read_switch)]
StatusCode: TypeAlias = Annotated[int, BeforeValidator(whole_number(400, 499))]
CloseCode: TypeAlias = Annotated[int, BeforeValidator(_close_code)]
OptionalCount: TypeAlias = Annotated[int | None, optional(whole_number(1))]
KeyProvider: TypeAlias = Annotated[Callable[[], Awaitable[str | bytes]] | None, BeforeValidator(_async_callable)]
