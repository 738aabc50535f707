"""The tables of docs/architecture.md."""

from tests.architecture.guide import ROOT, RULES, WAY, Place
from tests.docs.written_parts import rewritten

PAGE = ROOT / "docs" / "architecture.md"


def link(place: Place) -> str:
    return f"[{place.file}](../asgi_sessions/{place.file})"


def tables() -> dict[str, str]:
    way = ["| | what is done | where | file |", "|---|---|---|---|"]
    way += [f"| {number} | {place.text} | `{place.shown}` | {link(place)} |" for number, place in enumerate(WAY, 1)]
    rules = ["| the rule | where | file |", "|---|---|---|"]
    rules += [f"| {place.text} | `{place.shown}` | {link(place)} |" for place in RULES]
    return {"way": "\n".join(way), "rules": "\n".join(rules)}


def page(text: str) -> str:
    """The page with its tables as the code has them.

    Raises:
        ValueError: It has no place for one.
    """
    for name, table in tables().items():
        text = rewritten(PAGE, text, name, "tests.architecture", table)
    return text
