"""What make starts: installing, saying how far something is, and trying the project on bare systems."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this may have an older one
    sys.exit(f"Python 3.11 or newer is needed, and {sys.executable} is older: make PYTHON=python3.11 ...")
