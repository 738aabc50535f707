"""The tables of docs/architecture.md."""

from tests.architecture.guide import ROOT, RULES, WAY, Place

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
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, begins, rest = text.partition(begin)
        _, ends, after = rest.partition(end)
        if not begins or not ends:
            raise ValueError(f"The page has no place for the {name}.")
        text = f"{before}{begin}{table}\n{end}{after}"
    return text
