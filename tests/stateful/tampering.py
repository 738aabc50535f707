"""What an attacker, or a bad day, does to the cookies of a request."""

from collections.abc import Sequence
from enum import Enum

from tests.stateful.profiles import Profile

Cookies = list[tuple[str, str]]


class Tampering(Enum):
    NOTHING = "as the jar sends them"
    NO_ACCESS = "without the access cookie"
    NO_REFRESH = "without the refresh cookie"
    NO_MARKER = "without the retry marker"
    PLANTED_BEFORE = "another session's refresh cookie before the own"
    PLANTED_AFTER = "and after it"
    PLANTED_ALONE = "and in its place"
    PLANTED_BESIDE = "beside the own, and no access cookie"
    SECOND_ACCESS = "another session's access cookie as well"
    FORGED_ACCESS = "an access token with another signature"
    FORGED_REFRESH = "a refresh token with another MAC"
    FORGED_BESIDE = "a forged refresh token beside the own"
    SWAPPED = "each token in the other's place"


def tampered(cookies: Cookies, how: Tampering, foreign: Sequence[tuple[str, str]], profile: Profile) -> Cookies:
    """The cookies of the request.

    Args:
        cookies: The jar's.
        how: What is done to them.
        foreign: Another jar's, for planting.
        profile: Names the cookies.
    """
    access, refresh = profile.access_cookie, profile.refresh_cookie
    planted = [cookie for cookie in foreign if cookie[0] == refresh]
    match how:
        case Tampering.NOTHING:
            return cookies
        case Tampering.NO_ACCESS:
            return _without(cookies, access)
        case Tampering.NO_REFRESH:
            return _without(cookies, refresh)
        case Tampering.NO_MARKER:
            return _without(cookies, profile.marker_cookie)
        case Tampering.PLANTED_BEFORE:
            return [*planted, *cookies]
        case Tampering.PLANTED_AFTER:
            return [*cookies, *planted]
        case Tampering.PLANTED_ALONE:
            return [*_without(cookies, refresh), *planted]
        case Tampering.PLANTED_BESIDE:
            return [*_without(cookies, access), *planted]
        case Tampering.SECOND_ACCESS:
            return [*cookies, *(cookie for cookie in foreign if cookie[0] == access)]
        case Tampering.FORGED_ACCESS:
            return [(name, forged(text) if name == access else text) for name, text in cookies]
        case Tampering.FORGED_REFRESH:
            return [(name, forged(text) if name == refresh else text) for name, text in cookies]
        case Tampering.FORGED_BESIDE:
            return [*((name, forged(text)) for name, text in cookies if name == refresh), *cookies]
        case Tampering.SWAPPED:
            other = {access: refresh, refresh: access}
            return [(other.get(name, name), text) for name, text in cookies]


def forged(text: str) -> str:
    """The same but for one character of its signature."""
    position = len(text) - 10
    return text[:position] + ("B" if text[position] == "A" else "A") + text[position + 1 :]


def _without(cookies: Cookies, name: str) -> Cookies:
    return [cookie for cookie in cookies if cookie[0] != name]
