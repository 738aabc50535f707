"""How the address of the revocation channel is read. Its text is a secret: no error repeats a part of it."""

import importlib.util
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import SecretStr

__all__ = ["read_channel_url"]

_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")
_TLS_SCHEMES = ("rediss", "valkeys")
_LOGIN = frozenset({"db", "username", "password"})
_TLS = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"})


def read_channel_url(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    text = text.strip() if isinstance(text, str) else ""
    schemes = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises where it is no number
        options = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        # "from None" is no ornament: the error's text repeats what it could not read.
        raise ValueError(f"must be an address that begins with one of {schemes}") from None
    if url.scheme not in _SCHEMES or "://" not in text:
        raise ValueError(f"must begin with one of {schemes}")
    if not _reaches_a_server(url):
        raise ValueError(
            "must be redis://host, redis://user:password@host:6379/0 or unix:///path/to/socket; "
            "in a user's name and a password %2F stands for a slash, %23 for #, %3F for ?, %40 for @"
        )
    known = _LOGIN | (_TLS if url.scheme in _TLS_SCHEMES else set())
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
