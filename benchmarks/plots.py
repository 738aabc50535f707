"""Plots as SVG, the same bytes for the same figures. Needs matplotlib, of the extra ``benchmarks``."""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Spread

OURS = "#1b6ca8"
OTHERS = "#b0b7bf"


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars with the quartiles as whiskers.

    Attributes:
        title: Above the plot.
        axis: What is measured, with its unit.
        bars: By label, from top to bottom.
        ours: The labels that are drawn in the stronger colour.
        logarithmic: Whether the axis is; then every bar must be above 0.
        line: Where to draw a line across, for instance 1 for ratios.
    """

    title: str
    axis: str
    bars: Mapping[str, Spread]
    ours: frozenset[str] = frozenset()
    logarithmic: bool = False
    line: float | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Quantities over time or size.

    Attributes:
        title: Above the plot.
        x_axis: With its unit.
        y_axis: With its unit. It begins at 0: what is flat looks flat.
        lines: By label, points of x and y.
    """

    title: str
    x_axis: str
    y_axis: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


Plot = Bars | Lines


def save(plot: Plot, path: Path) -> bool:
    """Draw the plot; False, with a word on stderr, where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        print(f"{path.name} is not drawn: matplotlib is not installed", file=sys.stderr)
        return False
    import matplotlib as mpl  # noqa: PLC0415 - optional

    mpl.use("svg")
    # Ids come from the salt rather than from chance, and text stays text: small files whose changes can be read.
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot  # noqa: PLC0415 - optional

    figure = _bars(pyplot, plot) if isinstance(plot, Bars) else _lines(pyplot, plot)
    figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
    return True


def _bars(pyplot: Any, plot: Bars) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.32 * len(plot.bars)))
    spreads = list(plot.bars.values())
    colours = [OURS if label in plot.ours else OTHERS for label in plot.bars]
    whiskers = [[s.median - s.lower for s in spreads], [s.upper - s.median for s in spreads]]
    medians = [s.median for s in spreads]
    axes.barh(range(len(spreads)), medians, xerr=whiskers, color=colours, ecolor="#444", capsize=2)
    axes.set_yticks(range(len(spreads)), list(plot.bars))
    axes.invert_yaxis()
    for row, spread in enumerate(spreads):
        digits = 0 if spread.median >= 100 else 1 if spread.median >= 10 else 2
        end = max(spread.upper, 0)
        axes.annotate(
            f"{spread.median:,.{digits}f}", (end, row), xytext=(4, 0), textcoords="offset points", va="center"
        )
    if plot.logarithmic:
        axes.set_xscale("log")
    else:
        axes.margins(x=0.12)
    if plot.line is not None:
        axes.axvline(plot.line, color="#444", linewidth=0.8)
    axes.set_xlabel(plot.axis)
    axes.set_title(plot.title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _lines(pyplot: Any, plot: Lines) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 3.5))
    for label, points in plot.lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(plot.x_axis)
    axes.set_ylabel(plot.y_axis)
    axes.set_title(plot.title)
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot.lines) > 1:
        axes.legend(frameon=False)
    return figure
