"""The anti-CSRF token that travels in a header and, hidden from scripts, in the access token."""

import hmac

HEADER = "anti-csrf"


def token_matches(expected: str | None, presented: object) -> bool:
    """Whether the header's token, of any type, is the access token's. Nothing matches an access token that has none."""
    if expected is None or not isinstance(presented, str):
        return False
    return hmac.compare_digest(expected.encode("utf-8", "surrogatepass"), presented.encode("utf-8", "surrogatepass"))
