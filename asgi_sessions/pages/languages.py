"""The languages of the pages: gettext catalogues, ours and the application's, and how times are said in each."""

import gettext
import io
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.units import format_unit

__all__ = ["DOMAIN", "Language", "Languages"]

DOMAIN: Final = "asgi_sessions"
SOURCE: Final = "en"
"""The language of the texts in templates."""
OWN: Final = Path(__file__).parent / "locale"

_LONGEST_HEADER: Final = 500
_ABSOLUTE_AFTER: Final = timedelta(days=30)


class Language:
    """One language.

    Args:
        locale: Babel's.
        folders: Where catalogues are; those of the first folder count first.

    Attributes:
        tag: For ``lang`` (BCP 47).
        direction: ``ltr`` or ``rtl``.
        translations: The texts.
    """

    def __init__(self, locale: Locale, folders: Sequence[Path]) -> None:
        self._locale = locale
        self.tag = str(locale).replace("_", "-")
        self.direction = locale.text_direction
        self.translations: gettext.NullTranslations = gettext.NullTranslations()
        for folder in reversed(folders):
            found = _catalogue(folder / str(locale) / "LC_MESSAGES")
            if found is not None:
                found.add_fallback(self.translations)
                self.translations = found

    def ago(self, moment: datetime, now: datetime) -> str:
        """How long ago that was; the date if it was long ago."""
        passed = max(now - moment, timedelta())
        if passed < timedelta(minutes=1):
            return self.translations.gettext("just now")
        if passed > _ABSOLUTE_AFTER:
            return format_date(moment, format="medium", locale=self._locale)
        return format_timedelta(-passed, granularity="minute", add_direction=True, locale=self._locale)

    def exactly(self, moment: datetime) -> str:
        """The date and time, in UTC: nothing tells a server where its user is."""
        return f"{format_datetime(moment, format='medium', locale=self._locale)} UTC"

    def seconds(self, duration: timedelta) -> str:
        """A short duration, to a tenth of a second."""
        return format_unit(round(duration.total_seconds(), 1), "second", locale=self._locale)


class Languages:
    """Those for which there is a catalogue.

    Args:
        folder: The application's catalogues.

    Raises:
        ValueError: There is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        folders = [OWN] if folder is None else [Path(folder), OWN]
        if not folders[0].is_dir():
            raise ValueError(f"translations: there is no folder {folders[0]}")
        tags = {path.parent.parent.name for each in folders for path in each.glob(f"*/LC_MESSAGES/{DOMAIN}.*o")}
        self._known = {tag.lower(): Language(Locale.parse(tag), folders) for tag in sorted(tags | {SOURCE})}

    @property
    def all(self) -> list[Language]:
        """Each of them."""
        return list(self._known.values())

    def of_header(self, accept_language: str) -> Language:
        """The best of those that a header Accept-Language asks for (RFC 9110, section 12.5.4)."""
        wanted: list[tuple[float, str]] = []
        for part in accept_language[:_LONGEST_HEADER].split(","):
            tag, _, weight = part.partition(";")
            wanted.append((_weight(weight), tag.strip()))
        for wish, tag in sorted(wanted, key=lambda each: -each[0]):
            if wish > 0 and (found := self._best(tag)) is not None:
                return found
        return self._known[SOURCE]

    def of_tag(self, tag: str) -> Language:
        """A language by its tag, such as ``de`` or ``de-AT``; English where it is not there."""
        return self._best(tag) or self._known[SOURCE]

    def _best(self, tag: str) -> Language | None:
        """The language itself, or one that is less special: ``de`` for ``de-AT``."""
        parts = tag.lower().replace("-", "_").split("_")
        for length in range(len(parts), 0, -1):
            if (found := self._known.get("_".join(parts[:length]))) is not None:
                return found
        return None


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        weight = float(value[:6])
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _catalogue(folder: Path) -> gettext.GNUTranslations | None:
    """The catalogue in a folder: compiled, or as translators write it."""
    compiled, source = folder / f"{DOMAIN}.mo", folder / f"{DOMAIN}.po"
    if compiled.is_file():
        return gettext.GNUTranslations(io.BytesIO(compiled.read_bytes()))
    if not source.is_file():
        return None
    binary = io.BytesIO()
    with source.open("rb") as text:
        write_mo(binary, read_po(text, locale=folder.parent.name))
    binary.seek(0)
    return gettext.GNUTranslations(binary)
