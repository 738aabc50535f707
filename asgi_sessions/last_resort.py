"""Warnings where nobody has set up logging, as under plain uvicorn: with their level and the library's name.

Python's own last resort prints the bare text. This one is silent as soon as any handler is there for our loggers, on
the root or on the way to it, and where `logging.lastResort` is None.
"""

import logging
import sys

__all__ = ["install"]


class _LastResort(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s: %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if logging.lastResort is None or sys.stderr is None or self._is_handled(record):
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def _is_handled(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def install() -> None:
    """Let our loggers be heard where nobody listens. Once for a process."""
    logger = logging.getLogger("asgi_sessions")
    if not any(isinstance(handler, _LastResort) for handler in logger.handlers):
        logger.addHandler(_LastResort())
