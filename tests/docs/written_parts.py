"""Parts of a page that a program writes, each between a comment that names the program and one that ends the part."""

from pathlib import Path


def split(page: Path, text: str, name: str, program: str) -> tuple[str, str, str]:
    """What stands before the inside of a part, its inside without the blank lines around it, and what follows.

    Raises:
        ValueError: The page has no place for the part.
    """
    begin, end = f"<!-- {name}, written by python -m {program} -->", f"<!-- end of {name} -->"
    before, begins, rest = text.partition(begin)
    inside, ends, after = rest.partition(end)
    if not begins or not ends:
        raise ValueError(f"{page.name} has no place for the {name}")
    return before + begin, inside.strip(), end + after


def rewritten(page: Path, text: str, name: str, program: str, inside: str) -> str:
    """The page with another inside of one part.

    Raises:
        ValueError: The page has no place for the part.
    """
    before, _, after = split(page, text, name, program)
    return f"{before}\n\n{inside}\n\n{after}"
