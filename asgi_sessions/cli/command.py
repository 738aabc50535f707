"""What a command is, and how a group of commands makes its own known."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from asgi_sessions.manager import SessionManager

Command: TypeAlias = Callable[[SessionManager, argparse.Namespace], Awaitable[int]]
"""Given a manager that has not been started; returns the exit code."""


class AddCommand(Protocol):
    """Adds a command to the command line; returns its parser, for its arguments."""

    def __call__(self, name: str, run: Command, text: str, *, takes_any_clock: bool = True) -> argparse.ArgumentParser:
        """Add it.

        Args:
            name: The command as it is typed.
            run: Does it.
            text: What it does, for the help.
            takes_any_clock: False refuses to run where this machine's clock is too far off the database's.
        """
