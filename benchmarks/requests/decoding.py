"""PyJWT's own ``decode`` of the same tokens: what a new token costs whoever verifies it in the usual way."""

from collections.abc import Sequence
from time import process_time
from typing import Any

import jwt

from benchmarks.requests.jars import Jar


def seconds(sessions: Any, jars: Sequence[Jar]) -> float:
    """Decode each jar's access token once; the CPU time of all.

    Args:
        sessions: The running manager that has signed them.
        jars: One token each.
    """
    key = sessions.lifecycle.keys.keyring.newest
    tokens = [token for jar in jars for name, token in jar.cookies.items() if name.endswith("sAccessToken")]
    started = process_time()
    for token in tokens:
        jwt.decode(
            token,
            key.verify_key,
            algorithms=[key.algorithm],
            audience="asgi_sessions_",
            issuer="asgi_sessions",
            options={"require": ["exp", "iat", "sub"]},
        )
    return process_time() - started
