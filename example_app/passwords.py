"""Passwords, hashed with Argon2id in a thread: 64 MiB and some 50 ms each are nothing for the event loop."""

import secrets

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 4
"""Hashes at the same time in one process, for the memory's sake."""


class Passwords:
    """Hashes and verifies.

    Args:
        hasher: How; by default the second recommended option of RFC 9106, section 4.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = CapacityLimiter(AT_ONCE)
        self._nobodys = self._hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        """What to keep of a password."""
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._threads)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right.

        Args:
            password_hash: As kept; None where there is no such user. That takes just as long, so that the time says
                nothing about who has an account.
            password: As typed.
        """
        return await to_thread.run_sync(self._verify, password_hash, password, limiter=self._threads)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None
