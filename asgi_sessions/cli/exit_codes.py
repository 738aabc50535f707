"""With what a command ends."""

from typing import Final

DONE: Final = 0
NOTHING_FOUND: Final = 1
NOT_FOR_PRODUCTION: Final = 1
WRONG_USE: Final = 2
STORE_UNAVAILABLE: Final = 3
INTERRUPTED: Final = 130
"""As shells have it: 128, and the number of SIGINT."""
