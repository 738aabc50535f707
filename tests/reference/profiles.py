"""The two profiles in which every row is tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_sessions import SessionSettings

SECRET = "a-secret-of-the-tests-that-is-long-enough"
REFRESH_PATH = "/auth/session/refresh"
ACCESS, REFRESH, ID = "sAccessToken", "sRefreshToken", "sIdRefreshToken"


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings, and what they make of the cookies.

    Attributes:
        name: Names the tests' parameters.
        values: What differs from the defaults.
        prefix: What cookie names begin with.
        paths: Of each cookie, by its name without prefix and in the order in which they are set.
    """

    name: str
    values: Mapping[str, Any]
    prefix: str
    paths: Mapping[str, str]

    def settings(self, database_url: str, **more: Any) -> SessionSettings:
        return SessionSettings(**{"database_url": database_url, "secret_key": SECRET, **self.values, **more})

    @property
    def is_reference(self) -> bool:
        return self.name == "reference"

    def cookie(self, name: str) -> str:
        return self.prefix + name

    @property
    def cookies(self) -> list[str]:
        return [self.cookie(name) for name in self.paths]


DEFAULT = Profile("default", {}, "__Host-", {ACCESS: "/", REFRESH: "/"})

REFERENCE = Profile(
    "reference",
    {
        "refresh": "endpoint",
        "csrf": "token",
        "promote_on": "first_use",
        "late_parent_window": 0,
        "min_refresh_age": 0,
        "client_protocol": "supertokens",
        "cookie_prefix": "",
        "revocation_check": "none",
    },
    "",
    {ACCESS: "/", REFRESH: REFRESH_PATH, ID: "/"},
)

PROFILES = (DEFAULT, REFERENCE)


def only(profile: Profile) -> pytest.MarkDecorator:
    """A test for one profile, where the two differ on purpose (the table's last column)."""
    return pytest.mark.parametrize("profile", [profile], ids=[profile.name], indirect=True)


with_default = only(DEFAULT)
with_reference = only(REFERENCE)
