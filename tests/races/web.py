"""`uvicorn tests.races.web:app`: says on its output what became of each promotion."""

import os
import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from asgi_sessions import SessionManager
from tests.races.app import build_app
from tests.races.site import PROMOTED
from tests.races.watching import kind_of


def _note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
    if kind_of(statement) == "promote":
        # One write: two workers share the output.
        os.write(sys.stdout.fileno(), f"{PROMOTED} {cursor.rowcount}\n".encode())


event.listen(Engine, "after_cursor_execute", _note)
app = build_app(SessionManager())
