"""``python -m asgi_sessions``: the command line where the script is not on the path."""

import sys

from asgi_sessions.cli import main

if __name__ == "__main__":
    sys.exit(main())
