"""Where to go after signing in: only ever to a page of this site."""

import re
from urllib.parse import urlsplit

# Browsers read a backslash as a slash, and drop tabs and line breaks: "/\t/evil.example" leaves the site.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,2000}")


def local_path(text: str | None, otherwise: str = "/") -> str:
    """The text if it is a path of this site, perhaps with a query, and else the other."""
    return text if text is not None and _LOCAL_PATH.fullmatch(text) else otherwise


def path_of(address: str) -> str:
    """The path of an address, as a link within this site; that of the start page where it is none."""
    try:
        return local_path(urlsplit(address).path)
    except ValueError:
        return "/"
