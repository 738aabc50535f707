"""The wire: requests in, responses out. Pure ASGI."""
