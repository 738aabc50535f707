"""docs/errors.md names every error with its real status and code."""

import re

from asgi_sessions import errors
from tests.docs.pages import ROOT

_ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \| `(\w+)` \|", re.MULTILINE)


def test_every_error_is_documented_with_its_status_and_code() -> None:
    real = {
        name: (str(kind.status_code), kind.code)
        for name in errors.__all__
        if name != "SessionError"
        for kind in [getattr(errors, name)]
    }
    page = (ROOT / "docs" / "errors.md").read_text()
    assert {name: (status, code) for name, status, code in _ROW.findall(page)} == real
