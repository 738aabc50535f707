"""The defaults that hang on another setting."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from asgi_sessions.protocol.durations import parse_duration

__all__ = [
    "ACCESS_TOKEN_LIFETIME",
    "IDLE_TIMEOUT",
    "MIN_REFRESH_AGE",
    "NONPERSISTENT_IDLE_TIMEOUT",
    "POLICIES",
    "with_derived_defaults",
]

POLICIES: Mapping[str, Mapping[str, timedelta]] = MappingProxyType(
    {
        "aal1": {"idle_timeout": timedelta(days=14), "absolute_timeout": timedelta(days=30)},
        "aal2": {"idle_timeout": timedelta(hours=1), "absolute_timeout": timedelta(hours=24)},
        "aal3": {"idle_timeout": timedelta(minutes=15), "absolute_timeout": timedelta(hours=12)},
    }
)
"""What ``policy`` sets: NIST SP 800-63B-4, sections 2.1.3, 2.2.3, 2.3.3 (no inactivity limit in aal1)."""

ACCESS_TOKEN_LIFETIME: Final = timedelta(minutes=5)
IDLE_TIMEOUT: Final = timedelta(days=14)
NONPERSISTENT_IDLE_TIMEOUT: Final = timedelta(hours=8)
"""A working day: whoever comes back the next morning logs in, also where the browser has restored the cookies."""
MIN_REFRESH_AGE: Final = timedelta(seconds=240)
_CLOCKS_APART_TWICE = timedelta(seconds=60)


def with_derived_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the defaults that hang on another setting, as far as that one can be read."""
    derived: dict[str, Any] = {}
    policy = given.get("policy")
    if isinstance(policy, str):
        derived |= POLICIES.get(policy.strip().lower(), {})
    try:
        lifetime = parse_duration(given.get("access_token_lifetime", ACCESS_TOKEN_LIFETIME))
    except ValueError:
        pass  # told by the field itself
    else:
        derived["min_refresh_age"] = min(MIN_REFRESH_AGE, max(lifetime - _CLOCKS_APART_TWICE, lifetime / 2))
        try:
            longest = parse_duration(given.get("idle_timeout", derived.get("idle_timeout", IDLE_TIMEOUT)))
        except ValueError:
            pass  # likewise
        else:
            derived["nonpersistent_idle_timeout"] = min(longest, max(lifetime, NONPERSISTENT_IDLE_TIMEOUT))
    return {**derived, **given}
