"""Which sessions are revoked: what a worker knows without asking the database at each request."""
