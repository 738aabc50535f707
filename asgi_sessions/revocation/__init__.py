"""Who is out: what a worker knows of revoked sessions without asking the database at each request."""
