"""Where sessions live: tables, statements, and what the engines do when they fail. SQL is only here."""
