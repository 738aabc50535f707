"""The log of a command: audit events go to stderr, as the application has them; the rest is printed otherwise."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from asgi_sessions.cli.printing import say

__all__ = ["command_logs"]

_AUDIT = logging.getLogger("asgi_sessions.audit")


@contextmanager
def command_logs() -> Iterator[None]:
    """While a command runs, write each audit event as a line to stderr, and keep warnings of other logs off it.

    Afterwards logging is as it was: somebody may call a command from a program of theirs.
    """
    silent, audit, level = logging.NullHandler(), _StandardError(), _AUDIT.level
    logging.getLogger().addHandler(silent)
    _AUDIT.addHandler(audit)
    if not _AUDIT.isEnabledFor(logging.INFO):
        _AUDIT.setLevel(logging.INFO)
    try:
        yield
    finally:
        _AUDIT.setLevel(level)
        _AUDIT.removeHandler(audit)
        logging.getLogger().removeHandler(silent)


class _StandardError(logging.Handler):
    """Writes to what is stderr now, in its encoding: ``2026-01-31T12:00:00Z INFO asgi_sessions.audit: …``."""

    def __init__(self) -> None:
        super().__init__()
        form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        form.converter = time.gmtime
        self.setFormatter(form)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if sys.stderr:  # there is none where the shell has closed it
                say(self.format(record), sys.stderr)
        except Exception:  # as every handler: what has been done counts, whoever could not be told
            self.handleError(record)
