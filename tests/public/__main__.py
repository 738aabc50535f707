"""Writes the public names down as they are: ``python -m tests.public``. Review what changes: it is a promise."""

from tests.public.described import STORED, described

STORED.write_text(described(), encoding="utf-8")
