"""How one value of each kind is read: from the environment's text and from Python alike.

Every error says what would be right and never repeats the value, which may be a secret in the wrong place.
"""

import importlib.util
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from ipaddress import AddressValueError, IPv6Address
from typing import Annotated, Any, TypeAlias, get_args
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import BeforeValidator, SecretStr

from asgi_sessions.protocol.lifetimes import format_duration, parse_duration
from asgi_sessions.protocol.origin import split_origin
from asgi_sessions.settings.database_url import read_database_url

SHORTEST_SECRET = 32
"""Bytes: a shorter one has less than the 256 bits of the algorithms that it feeds (RFC 7518, section 3.2)."""
HOW_TO_MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'

_LONGEST_TABLE_PREFIX = 40  # PostgreSQL cuts names at 63 characters, and index names add to ours
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")  # a token of RFC 9110, section 5.6.2
_PATH = re.compile(r"/[!-~]*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_LONGEST_HOST = 253  # RFC 1035, section 2.3.4

_CHANNEL_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")
_CHANNEL_LOGIN = frozenset({"db", "username", "password"})
_CHANNEL_TLS = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"})


def _none_word(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() in {"", "none"} else value


def one_of(words: Any) -> BeforeValidator:
    """Reads one of a Literal's words, in any capitalisation."""
    known = {word.lower(): word for word in get_args(words)}

    def read(value: object) -> object:
        word = known.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            raise ValueError("must be one of " + ", ".join(f'"{each}"' for each in known.values()))
        return word

    return BeforeValidator(read)


def _optional(read: Callable[[Any], object]) -> BeforeValidator:
    def read_or_none(value: object) -> object:
        value = _none_word(value)
        return None if value is None else read(value)

    return BeforeValidator(read_or_none)


def optional_one_of(words: Any) -> BeforeValidator:
    """The same as ``one_of``, and ``none``."""
    return _optional(one_of(words).func)  # type: ignore[arg-type] # ours takes one argument


def duration(*, at_least: timedelta = timedelta()) -> BeforeValidator:
    """Reads a duration of at least so much."""

    def read(value: object) -> timedelta:
        found = parse_duration(value)
        if found < at_least:
            raise ValueError(f"must be at least {format_duration(at_least)}")
        return found

    return BeforeValidator(read)


def whole_number(at_least: int, at_most: int | None = None) -> Callable[[object], int]:
    """Reads an integer of a range; no booleans, no fractions."""
    wanted = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"

    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value.strip()):
            value = int(value)
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        if number is None or number < at_least or (at_most is not None and number > at_most):
            raise ValueError(f"must be a whole number, {wanted}")
        return number

    return read


def _close_code(value: object) -> int:
    try:
        return whole_number(1008, 1008)(value)
    except ValueError:
        pass
    try:
        return whole_number(3000, 4999)(value)
    except ValueError:
        raise ValueError("must be 1008 or a whole number, from 3000 to 4999") from None


def _words(value: object, read: Callable[[object], Any]) -> tuple[Any, ...]:
    """Reads a list: of Python, as JSON, or with commas. Each item once, in its place."""
    items: Iterable[object]
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            # "from None" is no ornament: the JSON error carries the whole text.
            raise ValueError("begins like a JSON list and is none") from None
    elif isinstance(value, str):
        items = [item for item in value.split(",") if item.strip()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = value
    else:
        raise ValueError("must be a list: with commas between, or as JSON")
    return tuple(dict.fromkeys(read(item) for item in items))


def _secret(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("must be text, or a list of texts")
    text = text.strip()
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("must be text that UTF-8 can hold") from None
    if length < SHORTEST_SECRET:
        raise ValueError(
            f"each must have at least {SHORTEST_SECRET} bytes (a comma separates two; a secret with a comma "
            f"belongs into a JSON list); {HOW_TO_MAKE_ONE}"
        )
    return SecretStr(text)


def _secrets(value: object) -> tuple[SecretStr, ...]:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str) and not value.strip():
        # Not "no key": an empty text is what a variable that was never filled in looks like.
        raise ValueError("must not be empty; leave it out to have none")
    return _words(value, _secret)


def _channel_url(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    text = text.strip() if isinstance(text, str) else ""
    schemes = ", ".join(f"{scheme}://" for scheme in _CHANNEL_SCHEMES)
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises where it is no number
        options = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        # "from None" is no ornament: the error's text repeats what it could not read.
        raise ValueError(f"must be an address that begins with one of {schemes}") from None
    if url.scheme not in _CHANNEL_SCHEMES or "://" not in text:
        raise ValueError(f"must begin with one of {schemes}")
    if not _reaches_a_server(url):
        raise ValueError(
            "must be redis://host, redis://user:password@host:6379/0 or unix:///path/to/socket; "
            "in a user's name and a password %2F stands for a slash, %23 for #, %3F for ?, %40 for @"
        )
    known = _CHANNEL_LOGIN | (_CHANNEL_TLS if url.scheme in {"rediss", "valkeys"} else set())
    if any(name not in known or not option for name, option in options):
        # Among what is not known is whatever would let TLS verify nobody.
        raise ValueError(f"of options only {', '.join(sorted(known))} are known, each with a value")
    if not all(re.fullmatch("[0-9]{1,9}", option) for name, option in options if name == "db"):
        raise ValueError("db must be a whole number")
    try:
        # Of the part that is used, since a folder of that name passes for a package.
        missing = importlib.util.find_spec("redis.asyncio") is None
    except ModuleNotFoundError:
        missing = True
    if missing:
        raise ValueError("its driver redis is not installed: pip install 'asgi-user-sessions[redis]'")
    return SecretStr(text)


def _reaches_a_server(url: SplitResult) -> bool:
    if url.fragment:
        return False
    if url.scheme == "unix":
        return not url.hostname and len(url.path) > 1
    return bool(url.hostname) and url.port != 0 and re.fullmatch("/?[0-9]{0,9}", url.path) is not None


def _path(value: object) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value.strip()) or re.search(r"[;,?#]", value):
        raise ValueError('must be a path: begin with "/" and have no space, ";", ",", "?", "#" or control character')
    return value.strip()


def _domain(value: object) -> str:
    # Browsers ignore a leading dot (RFC 6265, section 5.2.3).
    text = value.strip().lower().removeprefix(".") if isinstance(value, str) else ""
    if not _DOMAIN.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ValueError('must be a domain such as "example.com": no scheme, port, path or IP address')
    return text


def _older_domain(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "host-only"):
        return None
    try:
        return _domain(value)
    except ValueError:
        raise ValueError('each must be a domain such as "example.com", or "host-only" for no domain') from None


def _origin(value: object) -> str:
    found = split_origin(value.strip().lower()) if isinstance(value, str) else None
    wanted = (
        'each must be an exact origin such as "https://app.example.com" or "http://localhost:3000": '
        "http or https, no path (not even a slash), no wildcard, international names as xn--"
    )
    if found is None or len(found.host) > _LONGEST_HOST or found.port == "" or not 0 < found.number < 65_536:
        raise ValueError(wanted)
    host = found.host
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1]).compressed}]"  # as browsers write it
        except AddressValueError:
            raise ValueError(wanted) from None
    return f"{found.scheme}://{host}" if found.has_default_port else f"{found.scheme}://{host}:{found.number}"


def _cookie_prefix(value: object) -> str:
    text = value.strip() if isinstance(value, str) else None
    # Blanks are no way to ask for no prefix: that would be weaker by accident.
    if text is None or not _COOKIE_NAME.fullmatch(text) or (value and not text):
        raise ValueError(
            "must be the first characters of a cookie's name (letters, digits and !#$%&'*+-.^_`|~), "
            'or "none" for no prefix'
        )
    return "" if text.lower() == "none" else text


def _older_prefix(value: object) -> str | None:
    if isinstance(value, str) and value.strip().lower() == "automatic":
        return None
    try:
        return _cookie_prefix(value)
    except ValueError:
        raise ValueError('each must be the first characters of a cookie\'s name, "none" or "automatic"') from None


def _older_path(value: object) -> str:
    try:
        return _path(value)
    except ValueError as error:
        raise ValueError(f"each {error}") from None


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


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def _async_callable(value: object) -> object:
    if not callable(value):
        raise ValueError("must be an async callable, which only Python code can give")
    if not inspect.iscoroutinefunction(value) and not inspect.iscoroutinefunction(type(value).__call__):
        raise ValueError('must be async: define it with "async def"')
    return value


Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], BeforeValidator(_secrets)]
DatabaseUrl: TypeAlias = Annotated[SecretStr, BeforeValidator(read_database_url)]
ChannelUrl: TypeAlias = Annotated[SecretStr | None, _optional(_channel_url)]
Path: TypeAlias = Annotated[str, BeforeValidator(_path)]
Domain: TypeAlias = Annotated[str | None, _optional(_domain)]
OlderDomains: TypeAlias = Annotated[tuple[str | None, ...], BeforeValidator(lambda value: _words(value, _older_domain))]
OlderPrefixes: TypeAlias = Annotated[
    tuple[str | None, ...], BeforeValidator(lambda value: _words(value, _older_prefix))
]
OlderPaths: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: _words(value, _older_path))]
Origins: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: _words(value, _origin))]
CookiePrefix: TypeAlias = Annotated[str | None, BeforeValidator(_cookie_prefix)]
TablePrefix: TypeAlias = Annotated[str, BeforeValidator(_table_prefix)]
Audience: TypeAlias = Annotated[str | None, _optional(_audience)]
Switch: TypeAlias = Annotated[bool, BeforeValidator(_switch)]
StatusCode: TypeAlias = Annotated[int, BeforeValidator(whole_number(400, 499))]
CloseCode: TypeAlias = Annotated[int, BeforeValidator(_close_code)]
OptionalCount: TypeAlias = Annotated[int | None, _optional(whole_number(1))]
KeyProvider: TypeAlias = Annotated[Callable[[], Awaitable[str | bytes]] | None, BeforeValidator(_async_callable)]
