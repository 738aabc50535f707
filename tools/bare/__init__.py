"""Runs both commands of the README on systems with nothing prepared: Debian, Python and make are all that is there."""
