"""Secrets in every form in which they could turn up where they do not belong."""

import base64
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.security.browser import Answer
from tests.security.forging import encoded

# Where tokens do belong.
CARRIERS = {"set-cookie", "anti-csrf", "st-access-token", "st-refresh-token", "st-retry-marker", "id-refresh-token"}


@dataclass
class Canary:
    """Secrets, and whether a text has one of them."""

    secrets: set[str] = field(default_factory=set)

    def watch(self, *secrets: str | bytes) -> None:
        for secret in secrets:
            raw = secret if isinstance(secret, bytes) else secret.encode("latin-1")
            assert len(raw) >= 12, "too short to be told from chance"
            self.secrets |= {
                raw.decode("latin-1"),
                repr(raw)[2:-1],
                json.dumps(raw.decode("latin-1"))[1:-1],
                raw.hex(),
                raw.hex().upper(),
                encoded(raw),
                base64.b64encode(raw).decode().rstrip("="),
            }

    def watch_answer(self, answer: Answer) -> None:
        """Everything secret that this answer hands out."""
        for name in CARRIERS - {"set-cookie"}:
            self.watch(*(value for value in answer.all(name) if len(value) >= 12))
        for name, value in answer.set_values.items():
            self.watch(value)
            if name.endswith("sAccessToken"):
                self.watch(value.rpartition(".")[2])
            if name.endswith("sRefreshToken"):
                raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
                self.watch(raw, raw[42:74])  # the secret itself

    def found_in(self, text: str) -> set[str]:
        return {secret for secret in self.secrets if secret in text}


def texts_of(answer: Answer) -> Iterable[str]:
    """All of an answer but the headers that carry tokens."""
    yield answer.body.decode("utf-8", "replace")
    for name, value in answer.headers:
        if name.lower().decode("latin-1") not in CARRIERS:
            yield value.decode("latin-1")
    if answer.error is not None:
        yield repr(answer.error)
        yield str(answer.error)


def texts_of_log(records: Iterable[logging.LogRecord]) -> Iterable[tuple[str, str]]:
    """Each record as it is written, with its traceback, and everything that hangs on it."""
    formatter = logging.Formatter("%(name)s %(message)s")
    for record in records:
        yield record.name, formatter.format(record)
        yield record.name, repr(record.__dict__)
