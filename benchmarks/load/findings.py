"""The load's figures as tables and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.load.journal import KINDS, Journal
from benchmarks.load.watching import Reading, Trend
from benchmarks.plots import Lines
from benchmarks.report import Report

__all__ = ["Phase", "memory", "phases"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run.

    Attributes:
        name: For tables.
        journal: What the people saw.
        used: What that took.
        idle_statements: Statements per second of workers that have nothing to do.
    """

    name: str
    journal: Journal
    used: Reading
    idle_statements: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.journal.requests / self.used.seconds

    def figures(self) -> dict[str, float]:
        """The table's rows."""
        requests, used = self.journal.requests, self.used
        polls = self.idle_statements * used.seconds
        return {
            "requests": requests,
            "requests per second": self.rate,
            "statements per request": used.statements["Questions"] / requests,
            "of these the feed's polls": polls / requests,
            "CPU seconds per 1000 requests, workers": used.server / requests * 1000,
            "CPU seconds per 1000 requests, MariaDB": used.database / requests * 1000,
            "CPU seconds per 1000 requests, load generator": used.generator / requests * 1000,
            "processors busy": (used.server + used.database + used.generator) / used.seconds,
            "unexpected answers": self.journal.unexpected.total(),
        }


def phases(report: Report, found: Sequence[Phase]) -> None:
    """Throughput, cost and latency of each phase."""
    figures = [phase.figures() for phase in found]
    rows = [[name, *(f"{_figure(each[name])}" for each in figures)] for name in figures[0]]
    report.table("Throughput and cost", ["", *(phase.name for phase in found)], rows)
    report.text("Generator, workers and database share the machine. Unexpected answers must be 0.")
    for phase in found:
        rows = []
        for kind in (*KINDS, None):
            latency = phase.journal.percentiles(kind)
            if latency is not None:
                count = phase.journal.count(kind) if kind else phase.journal.requests
                rows.append([kind or "all", f"{count:,}", *(f"{value:.1f}" for value in latency.values())])
        report.table(f"Latency, {phase.name}", ["kind", "requests", "p50, ms", "p95", "p99", "max"], rows)
    report.results["phases"] = {
        phase.name: {"figures": phase.figures(), "statements": dict(phase.used.statements), **phase.journal.as_json()}
        for phase in found
    }


def memory(report: Report, points: Mapping[int, Sequence[tuple[float, float]]], since: float) -> None:
    """Each worker's memory over the run, and what became of it.

    Args:
        report: Where.
        points: By worker.
        since: From which minute on it counts: before, memories fill.
    """
    rows, lines, trends = [], {}, {}
    for number, every in enumerate(points.values(), start=1):
        name = f"worker {number}"
        lines[name] = every
        settled = [(minute, mb) for minute, mb in every if minute >= since]
        trend = trends[name] = Trend.of(settled if len(settled) > 1 else every)
        rows.append(
            [
                name,
                f"{trend.minutes:.1f}",
                f"{trend.first_mb:.1f}",
                f"{trend.last_mb:.1f}",
                f"{trend.last_mb / trend.first_mb:.3f}",
                f"{trend.mb_per_hour:+.1f}",
            ]
        )
    headings = ["", "minutes", "first fifth, MB", "last fifth, MB", "ratio", "slope, MB per hour"]
    report.table(f"Memory of the workers, after minute {since:.1f}", headings, rows)
    report.plot("memory", Lines("Resident memory of the workers", "minutes", "MB", lines))
    report.results["memory"] = {
        "since_minute": since,
        "trend": {name: asdict(trend) for name, trend in trends.items()},
        "samples": lines,
    }


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.4f}" if value < 1 else f"{value:.2f}"
