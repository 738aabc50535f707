"""Puts what was measured into the documentation: ``python -m benchmarks.page`` after the benchmarks themselves.

docs/performance.md has a place for each benchmark between two comments; tables go there, plots and JSON beside it.
"""

import argparse
import re
import shutil
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = "pictures/performance"


def section_of(report: str) -> str:
    """Return a benchmark's page as a part of another: without its title, headings one level deeper, plots moved."""
    _, _, body = report.partition("\n\n")
    facts, _, rest = body.partition("\n\n")
    measured = "; ".join(line.removeprefix("- ") for line in facts.splitlines())
    rest = re.sub(r"^#", "##", rest, flags=re.MULTILINE)
    rest = re.sub(r"\]\((?=[\w-]+\.svg\))", f"]({PICTURES}/", rest)
    return f"<small>{measured}</small>\n\n{rest.strip()}"


def put(page: str, name: str, section: str) -> str:
    """Return the page with the benchmark's section in its place."""
    place = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not place.search(page):
        raise SystemExit(f"docs/performance.md has no place for {name}.")
    return place.sub(lambda found: f"{found[1]}\n{section}\n\n{found[2]}", page)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where the benchmarks wrote")
    results: Path = parser.parse_args().results
    page = DOCS / "performance.md"
    (DOCS / PICTURES).mkdir(parents=True, exist_ok=True)
    for report in sorted(results.glob("*.md")):
        page.write_text(put(page.read_text(), report.stem, section_of(report.read_text())))
        for file in sorted(results.glob(f"{report.stem}*")):
            if file.suffix in {".svg", ".json"}:
                shutil.copy(file, DOCS / PICTURES / file.name)
        print(f"{report.stem}: in its place")


if __name__ == "__main__":
    main()
