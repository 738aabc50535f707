"""The documentation as the tests see it: pages, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# An HTML comment above a block says why it is left alone: `<!-- not run: needs a browser -->`.
_BLOCK = re.compile(
    r"(?P<mark><!-- *not run: *(?P<reason>[^>]*?) *-->\n+)?^```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

_FILE = re.compile(r"# (?P<name>\w+\.py)(?:,[^\n]*)?\n")
FIRST_FILE = "main.py"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        page: Where it is.
        line: Of the first line of code, from 1.
        language: What stands behind the fence.
        code: As written.
        not_run: The reason why it is left alone, None where it is executed.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None

    @property
    def file(self) -> str | None:
        """Where a reader is told to put it, by a first line like ``# jobs.py``; None: below the block before it."""
        named = _FILE.match(self.code)
        return named["name"] if named else None


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("code")) + 1,
            language=found["language"],
            code=found["code"],
            not_run=found["reason"],
        )
        for found in _BLOCK.finditer(text)
    ]


def file_of(page: Path, name: str) -> str:
    """The block whose first line, a comment, names this file."""
    (found,) = (block.code for block in blocks_of(page) if block.code.split("\n")[0] in (f"# {name}", f"-- {name}"))
    return found


def python_blocks_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "python" and block.not_run is None]


def files_of(page: Path) -> dict[str, str]:
    """The files that a reader has who pastes a page's blocks one after the other, behind the README's application."""
    files: dict[str, str] = {}
    name = FIRST_FILE
    for block in python_blocks_of(page):
        name = block.file or name
        files[name] = files.get(name, "") + block.code + "\n\n"
    return files if FIRST_FILE in files else {FIRST_FILE: files_of(README)[FIRST_FILE]} | files


def as_one_module(page: Path) -> str:
    """A page's blocks together, each at its own line, so that tracebacks and mypy name the page's lines.

    What one of the page's files imports from another is there already; the README's application is not.
    """
    blocks = python_blocks_of(page)
    own = {block.file for block in blocks if block.file} | (set() if blocks[0].file else {FIRST_FILE})
    imports = "|".join(name.removesuffix(".py") for name in sorted(own))
    lines: list[str] = []
    for block in blocks:
        code = re.sub(rf"^from (?:{imports}) import .*$", "", block.code, flags=re.MULTILINE)
        lines += [""] * (block.line - 1 - len(lines)) + code.splitlines()
    return "\n".join(lines) + "\n"


PAGES_WITH_CODE = [page for page in PAGES if python_blocks_of(page)]
