"""The decisions of a session's life, pure: no database, no clock of their own, no request."""
