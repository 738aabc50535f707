"""Transmitters of shared signals whose events count."""

from collections.abc import Collection
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from asgi_sessions.oidc.issuer import several
from asgi_sessions.oidc.security_event import ENDING_EVENTS
from asgi_sessions.oidc.subjects import COMPLEX, Subject
from asgi_sessions.oidc.whose_sessions import SubjectIssuer, require_subject_issuer

__all__ = ["SSFTransmitter", "is_authorized", "understands"]

_UNDERSTOOD: Final = frozenset({"format", "user", "session"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SSFTransmitter(SubjectIssuer):
    """A transmitter, as its `/.well-known/ssf-configuration` and the stream that you have made there describe it.

    Attributes:
        issuer: `iss` of its tokens, to the last character.
        audience: `aud` of the stream, or several.
        jwks_uri: Where its keys are; nothing else is ever fetched. Without TLS only on this machine.
        algorithms: By which it may sign.
        subject: Your async function, given a subject identifier (RFC 9493) as a mapping with its `format`. It returns
            whose sessions are meant: a user id; a name and a value of your `index`, as a tuple; or None for nobody.
            Without it `iss_sub` and `session` are found by `oidc_index`.
        login_issuer: The issuer in the ID tokens of your logins where it is not `issuer`.
        authorization: The values of the header `Authorization` that its pushes may carry; empty: none is asked for.
        ends: The events that end sessions, by their URIs.
        older_subjects: Whether it speaks as drafts did: the subject inside the event, and any `typ`. Google does.
        critical_subject_members: As in its configuration. An event whose subject has one that nobody here understands
            is passed over; with a `subject` of yours, that understands them all.
    """

    authorization: str | Collection[str] = field(default=(), repr=False)
    ends: Collection[str] = field(default_factory=lambda: ENDING_EVENTS)
    older_subjects: bool = False
    critical_subject_members: Collection[str] = ()

    def __post_init__(self) -> None:
        """Raise on what cannot be meant.

        Raises:
            TypeError, ValueError: An attribute is wrong; the text names it.
        """
        require_subject_issuer(self)
        several(self.critical_subject_members, "critical_subject_members", least=0)
        for name in ("authorization", "ends"):
            if not all(each.isascii() and each.strip() == each for each in several(getattr(self, name), name, least=0)):
                raise ValueError(f"{name} must be of ASCII, without spaces around it")
        if not isinstance(self.older_subjects, bool):
            raise TypeError(f"older_subjects must be bool, not {type(self.older_subjects).__name__}")


def is_authorized(transmitter: SSFTransmitter, given: str | None) -> bool:
    """Whether a push may come with this header; how much of it is right does not show in the time that it takes."""
    expected = several(transmitter.authorization, "authorization", least=0)
    found = [compare_digest(each.encode(), (given or "").encode()) for each in expected]
    return any(found) or not expected


def understands(transmitter: SSFTransmitter, subject: Subject) -> bool:
    """Whether all of a subject that is critical would be looked at."""
    if transmitter.subject is not None or subject["format"] != COMPLEX:
        return True
    return not (subject.keys() - _UNDERSTOOD) & set(several(transmitter.critical_subject_members, "", least=0))
