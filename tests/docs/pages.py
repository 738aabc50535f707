"""The documentation as the tests see it: pages, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

# An HTML comment above a block says why it is left alone: `<!-- not run: needs a browser -->`.
_BLOCK = re.compile(
    r"(?P<mark><!-- *not run: *(?P<reason>[^>]*?) *-->\n+)?^```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


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
    def placed(self) -> str:
        """The code behind as many empty lines as the page has before it, so that tracebacks name the page's lines."""
        return "\n" * (self.line - 1) + self.code


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


def python_blocks_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "python" and block.not_run is None]


PAGES_WITH_CODE = [page for page in PAGES if python_blocks_of(page)]
