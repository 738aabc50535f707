"""docs/databases.md lists every cause of a failed start, in the words of the library."""

import re

from sqlalchemy import make_url

from asgi_sessions.store.causes import Cause, phrase
from asgi_sessions.store.place import Place
from tests.docs.pages import ROOT

SERVER = Place.of(make_url("mysql+asyncmy://app@db:3307/shop"))
SOCKET = Place.of(make_url("mysql+asyncmy://app@/shop?unix_socket=/run/mysqld/mysqld.sock"))
FILE = Place.of(make_url("sqlite+aiosqlite:////data/sessions.db"))
PLACES = {Cause.NO_SOCKET: SOCKET, Cause.LOCKED: FILE, Cause.NOT_OPENED: FILE, Cause.NO_DATABASE: FILE}
DETAILS = {
    Cause.TLS_UNTRUSTED: "self-signed certificate",
    Cause.TLS_FAILED: "TLSV13_ALERT_CERTIFICATE_REQUIRED",
}


def test_every_cause_is_documented_and_none_that_does_not_exist() -> None:
    page = (ROOT / "docs" / "databases.md").read_text()
    table = page.partition("| `StoreUnavailable` says |")[2].partition("\n\n")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    real = [phrase(cause, PLACES.get(cause, SERVER), DETAILS.get(cause, "")) for cause in Cause]
    assert sorted(documented) == sorted(real)
