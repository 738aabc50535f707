"""Results for people and programs: NAME.json with every sample, NAME.md with the tables, NAME-*.svg with plots."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import plots

_FIGURE = re.compile(r"[-+]?\d")


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns of figures are aligned to the right."""
    columns = zip(*rows, strict=True) if rows else [[""] for _ in headings]
    rule = ["---:" if all(_FIGURE.match(cell) for cell in column) else "---" for column in columns]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows))


@dataclass
class Report:
    """What one benchmark found.

    Attributes:
        name: What its files are called.
        title: The heading.
        machine: See ``benchmarks.machine.description``.
        parameters: How much was measured, for instance rounds and requests per round.
        results: Anything that JSON can hold: summaries (``Spread.as_json``) and samples (``Samples.as_json``).
    """

    name: str
    title: str
    machine: Mapping[str, str]
    parameters: Mapping[str, Any]
    results: dict[str, Any] = field(default_factory=dict)
    _sections: list[str] = field(default_factory=list)
    _plots: list[tuple[str, plots.Plot]] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph, or any Markdown."""
        self._sections.append(paragraph)

    def table(self, heading: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table under a heading of its own."""
        self._sections.append(f"## {heading}\n\n{markdown_table(headings, rows)}")

    def plot(self, name: str, plot: plots.Plot) -> None:
        """Add a plot, kept as NAME-name.svg and shown in the page."""
        self._plots.append((f"{self.name}-{name}.svg", plot))
        self._sections.append(f"![{plot.title}]({self.name}-{name}.svg)")

    def markdown(self) -> str:
        """Return the page."""
        facts = "\n".join(f"- {name}: {value}" for name, value in (*self.machine.items(), *self.parameters.items()))
        return "\n\n".join([f"# {self.title}", facts, *self._sections]) + "\n"

    def write(self, folder: Path) -> None:
        """Write all files into the folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        everything = {"machine": self.machine, "parameters": self.parameters, "results": self.results}
        (folder / f"{self.name}.json").write_text(json.dumps(everything, indent=1) + "\n")
        (folder / f"{self.name}.md").write_text(self.markdown())
        for file, plot in self._plots:
            plots.save(plot, folder / file)
