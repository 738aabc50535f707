"""The texts of the pages for translators: ``python -m tests.pages.catalogues`` writes the template of all catalogues.

What is translated already stays in the catalogues; new texts are added without a translation, which a test finds.
"""

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from asgi_sessions.pages.languages import DOMAIN, OWN

PAGES = OWN.parent
TEMPLATE = OWN / f"{DOMAIN}.pot"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext.babel_extract")]
CHANGING = ('"POT-Creation', '"PO-Revision', '"Generated-By', '"Last-Tr', '"Report', "# FIRST", "# Copyright")
OPTIONS = {"**/templates/**.html": {"extensions": "jinja2.ext.i18n", "trim_blocks": "true", "lstrip_blocks": "true"}}


def extracted() -> Catalog:
    """All texts, with the files that they are in."""
    catalog = Catalog(project="asgi-user-sessions", charset="utf-8")
    for file, _, message, comments, context in extract_from_dir(str(PAGES), METHODS, OPTIONS):
        catalog.add(message, locations=[(file, None)], auto_comments=comments, context=context)  # type: ignore[list-item]  # lines would change with each edit
    return catalog


def written(catalog: Catalog) -> str:
    """A catalogue as a file, without what changes by itself."""
    file = io.BytesIO()
    write_po(file, catalog, omit_header=False, include_lineno=False, sort_by_file=True, width=100)
    lines = file.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(CHANGING))


def catalogue(path: Path) -> Catalog:
    """One that is checked in."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name if path.suffix == ".po" else None)


def main() -> None:
    template = extracted()
    TEMPLATE.write_text(written(template))
    for path in OWN.glob(f"*/LC_MESSAGES/{DOMAIN}.po"):
        found = catalogue(path)
        found.update(template, no_fuzzy_matching=True)
        path.write_text(written(found))


if __name__ == "__main__":
    main()
