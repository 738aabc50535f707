"""What a page says about the form sent before. The address carries only a word, so nobody can put texts there."""

_TEXTS = {
    "welcome": "Your account is ready, and you are signed in.",
    "logged-out": "You are logged out on this device.",
    "session-ended": "Your session has ended. Please sign in again.",
    "ended-for-safety": "Somebody else may have used a copy of your session, so it was ended. Please sign in again.",
    "device-logged-out": "The device is logged out.",
    "no-such-device": "That device was logged out already.",
    "others-logged-out": "Logged out on {count}.",
    "nobody-to-act-as": "There is no such user, or none that you may act as.",
    "user-logged-out": "The user is logged out on {count}.",
}


def notice_text(notice: str | None, count: str | None) -> str | None:
    """The sentence behind the word, None where there is none."""
    text = _TEXTS.get(notice or "")
    return text and text.format(count=_devices(count))


def _devices(count: str | None) -> str:
    number = int(count) if count and count.isascii() and count.isdigit() and len(count) < 6 else 0
    return "1 device" if number == 1 else f"{number} devices"
