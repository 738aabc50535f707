"""The log of one manager: several managers of an application say the same, so each line names the manager."""

import logging
from collections.abc import MutableMapping
from typing import Any, TypeAlias

from asgi_sessions.settings.model import SessionSettings

__all__ = ["ManagerLog", "manager_log"]


class _Named(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, logger: logging.Logger, table_prefix: str) -> None:
        super().__init__(logger)
        self._table_prefix = table_prefix

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"table_prefix {self._table_prefix}: {msg}", kwargs


ManagerLog: TypeAlias = logging.Logger | _Named
"""Where a manager writes."""


def manager_log(name: str, settings: SessionSettings) -> ManagerLog:
    """The log for what concerns a manager as a whole: its settings, keys and tables.

    Args:
        name: The logger's.
        settings: The manager's. Lines begin with its ``table_prefix``, unless that is the default.
    """
    logger = logging.getLogger(name)
    if settings.table_prefix == SessionSettings.model_fields["table_prefix"].default:
        return logger
    return _Named(logger, settings.table_prefix)
