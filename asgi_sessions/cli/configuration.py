"""The command about the settings: check."""

import argparse
import sys

from asgi_sessions.cli.command import AddCommand
from asgi_sessions.cli.exit_codes import DONE, NOT_FOR_PRODUCTION
from asgi_sessions.cli.printing import say, say_table
from asgi_sessions.manager import SessionManager
from asgi_sessions.settings import development_only, policy_summary, weakened_defaults
from asgi_sessions.store.engine import parse_database_url


def add_commands(add: AddCommand) -> None:
    add(
        "check",
        _check,
        "Show the settings in effect, and what is weaker than the default. Ends with 1 where something is not for "
        "production. Opens no database.",
    )


async def _check(manager: SessionManager, arguments: argparse.Namespace) -> int:
    settings = manager.settings
    parse_database_url(settings.database_url_text)
    say_table([[name, value] for name, value in policy_summary(settings).items()])
    unfit = development_only(settings)
    for weakness in weakened_defaults(settings):
        say(f"{'not for production' if weakness in unfit else 'warning'}: {weakness}", sys.stderr)
    return NOT_FOR_PRODUCTION if unfit else DONE
