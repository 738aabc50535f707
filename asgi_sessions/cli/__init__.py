"""The command line: what administrators do with sessions (ASVS 7.4.5), on the database that the settings name.

Exit codes: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or settings; 3 the
session store is unavailable, or is not there.
"""

from asgi_sessions.cli.program import main

__all__ = ["main"]
