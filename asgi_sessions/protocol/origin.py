"""The origins of web pages (RFC 6454, section 6.2; the Fetch standard): ``scheme://host[:port]``."""

import re
from typing import Final, NamedTuple

__all__ = ["Origin", "looks_like_an_origin", "split_origin"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]*))?")
_MOST_DIGITS = 5
_LABEL = r"[A-Za-z0-9_-]{1,63}"  # RFC 1035, section 2.3.4
_ANY: Final = re.compile(
    rf"null|[A-Za-z][A-Za-z0-9+.-]{{0,30}}://({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(:[0-9]{{1,5}})?"
)


class Origin(NamedTuple):
    """The parts of an origin.

    Attributes:
        scheme: ``http`` or ``https``.
        host: In lower case; an IPv6 address in brackets.
        port: As it was written: None where there is no colon, empty where nothing comes after it.
    """

    scheme: str
    host: str
    port: str | None

    @property
    def number(self) -> int:
        """The number of its port: the scheme's, where none was written."""
        return int(self.port) if self.port else _DEFAULT_PORTS[self.scheme]

    @property
    def has_default_port(self) -> bool:
        """Whether its port is its scheme's, which browsers leave out."""
        return self.number == _DEFAULT_PORTS[self.scheme]


def split_origin(text: str) -> Origin | None:
    """The parts of an origin in lower case; None for what is no http origin, such as ``null``."""
    match = _ORIGIN.fullmatch(text)
    if match is None or len(match[3] or "") > _MOST_DIGITS:
        return None
    return Origin(*match.groups())


def looks_like_an_origin(text: str) -> bool:
    """Whether a text may be the origin of some page, of an application's own scheme too, or ``null``.

    No token may be taken for one: parts of tokens are longer than a name's in the name service.
    """
    return _ANY.fullmatch(text) is not None
