"""What a page says about the form before. The server leaves it in a cookie, so that nobody can put it into a link."""

from dataclasses import dataclass
from enum import StrEnum

from asgi_sessions import Notice, NoticeCookie


class Kind(StrEnum):
    """How a notice looks; a warning also interrupts whoever has the page read aloud."""

    SUCCESS = "success"
    INFORMATION = "information"
    WARNING = "warning"


@dataclass(frozen=True)
class ShownNotice:
    """A notice in words."""

    kind: Kind
    text: str


_NOTICES = {
    "welcome": (Kind.SUCCESS, "Your account is ready, and you are signed in."),
    "logged-out": (Kind.SUCCESS, "You are logged out on this device."),
    "logged-out-there": (Kind.SUCCESS, "You are logged out on this device, and at your company."),
    "company-not-finished": (Kind.WARNING, "Signing in with your company was not finished. Please try again."),
    "company-away": (Kind.WARNING, "Your company does not answer. Please try again later."),
    "session-ended": (Kind.INFORMATION, "Your session has ended. Please sign in again."),
    "ended-for-safety": (
        Kind.WARNING,
        (
            "Somebody else may have used a copy of your session, so it was ended. Sign in again, look at your devices "
            "and log out those that you do not know, and change your password."
        ),
    ),
    "nobody-to-act-as": (Kind.INFORMATION, "There is no such user, or none that you may act as."),
    "user-logged-out": (Kind.SUCCESS, "The user is logged out on {count}."),
}

notices = NoticeCookie(_NOTICES)


def in_words(notice: Notice) -> ShownNotice:
    kind, text = _NOTICES[notice.code]
    number = notice.number or 0
    return ShownNotice(kind, text.format(count="1 device" if number == 1 else f"{number} devices"))
