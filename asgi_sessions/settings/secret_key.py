"""How the secrets of ``secret_key`` are read. No error repeats a part of one."""

from typing import Final

from pydantic import SecretStr

from asgi_sessions.settings.values import read_list

__all__ = ["HOW_TO_MAKE_ONE", "SHORTEST_SECRET", "read_secrets"]

SHORTEST_SECRET: Final = 32
"""Bytes: a shorter one has less than the 256 bits of the algorithms that it feeds (RFC 7518, section 3.2)."""
HOW_TO_MAKE_ONE: Final = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def read_secrets(value: object) -> tuple[SecretStr, ...]:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str) and not value.strip():
        # Not "no key": an empty text is what a variable that was never filled in looks like.
        raise ValueError("must not be empty; leave it out to have none")
    return read_list(value, _secret)


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
