"""Times as people say them."""

from datetime import datetime, timedelta

_UNITS = (
    ("year", timedelta(days=365)),
    ("month", timedelta(days=30)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def relative_time(moment: datetime, now: datetime) -> str:
    """For example "just now", "5 minutes ago", "in 13 days"."""
    distance = abs(moment - now)
    for name, unit in _UNITS:
        if distance >= unit:
            # What has begun counts from below, what is to come is said to the nearest.
            count = round(distance / unit) if moment > now else distance // unit
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"in {words}" if moment > now else f"{words} ago"
    return "in a moment" if moment > now else "just now"
