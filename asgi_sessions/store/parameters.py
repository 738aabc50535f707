"""Parameters of statements whose types the databases do not guess rightly, or not all of them alike."""

from sqlalchemy import BigInteger, BindParameter, String, bindparam

__all__ = ["integer", "text"]


def integer(name: str) -> BindParameter[int]:
    """A number of up to 64 bits: a time in ms, or a count."""
    return bindparam(name, type_=BigInteger)


def text(name: str) -> BindParameter[str]:
    """A text."""
    return bindparam(name, type_=String)
