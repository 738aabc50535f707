"""The store's figures as tables and plots, beside their budgets."""

from collections.abc import Mapping, Sequence

from benchmarks.measuring import Samples
from benchmarks.plots import Bars
from benchmarks.report import Report
from benchmarks.store.alternation import CPU_MICROSECONDS, MICROSECONDS
from benchmarks.store.counting import BUDGETS, Count
from benchmarks.store.purging import IDLE, P50, P99, PER_SECOND, PURGING, Waits

__all__ = ["OURS", "POOL", "RAW", "against_raw", "against_size", "counts", "under_purge"]

OURS = "asgi_sessions"
RAW = "asyncmy"
POOL = "asyncmy pool"
RAW_BUDGET = 2.2
SIZE_BUDGET = 1.5
PURGE_BUDGET = 2.0


def counts(report: Report, engines: Mapping[str, Sequence[Count]]) -> None:
    """What reaches the server."""
    first = next(iter(engines.values()))
    rows = []
    for place, count in enumerate(first):
        sent = [" ".join(counts[place].verbs) or "none" for counts in engines.values()]
        rows.append([count.operation, *sent, " ".join(BUDGETS[count.operation]) or "none"])
    report.table("Statements at the server", ["operation", *engines, "budget"], rows)
    report.text(
        "Counted in the servers' own logs, SQLite's by SQLAlchemy. Not counted: each worker's poll, two a second; "
        "PostgreSQL's `pg_notify`, which wakes the other workers after a revocation; what a new connection is told."
    )
    report.results["statements"] = {
        engine: {count.operation: count.verbs for count in counts} for engine, counts in engines.items()
    }


def against_raw(report: Report, samples: Mapping[str, Samples]) -> None:
    """The package's calls beside the same statements on one open connection, and through the driver's own pool."""
    rows, ratios = [], {}
    for name, sampled in samples.items():
        ratio = ratios[name] = sampled.ratio(OURS, RAW, MICROSECONDS)
        rows.append(
            [
                name,
                *(sampled.spread(contender, MICROSECONDS).text(0) for contender in (OURS, RAW, POOL)),
                ratio.text(2),
                _verdict(ratio.median, RAW_BUDGET),
                sampled.ratio(OURS, POOL, MICROSECONDS).text(2),
                *(sampled.spread(contender, CPU_MICROSECONDS).text(0) for contender in (OURS, RAW)),
            ]
        )
    report.table(
        "Calls against the same statements on raw asyncmy",
        [
            "operation",
            *(f"{contender}, µs" for contender in (OURS, RAW, POOL)),
            f"to {RAW}",
            f"<= {RAW_BUDGET}",
            f"to {POOL}",
            *(f"{contender}, CPU µs" for contender in (OURS, RAW)),
        ],
        rows,
    )
    report.plot("raw", Bars("Calls against raw asyncmy", "ratio of time", ratios, frozenset(ratios), line=1))
    report.results["against raw asyncmy"] = _json(samples, OURS, RAW)


def against_size(report: Report, samples: Mapping[str, Samples]) -> None:
    """The same statements on a small table and a large one."""
    rows, ratios = [], {}
    small, large = _variants(samples)
    for name, sampled in samples.items():
        ratio = ratios[name] = sampled.ratio(large, small, MICROSECONDS)
        spreads = [sampled.spread(contender, MICROSECONDS).text(0) for contender in (small, large)]
        rows.append([name, *spreads, ratio.text(2), _verdict(ratio.median, SIZE_BUDGET)])
    report.table(
        "Statements on a large table against a small one (raw asyncmy)",
        ["operation", f"{small}, µs", f"{large}, µs", "ratio", f"<= {SIZE_BUDGET}"],
        rows,
    )
    report.plot("size", Bars(f"{large} against {small}", "ratio of time", ratios, frozenset(ratios), line=1))
    report.results["against size"] = _json(samples, large, small)


def under_purge(report: Report, found: Waits, size: int) -> None:
    """Live refreshes with a purge beside them, and without."""
    rows = []
    for kind in (IDLE, PURGING):
        spreads = [found.rounds.spread(kind, quantity).text(1) for quantity in (P50, P99)]
        rows.append([kind, f"{len(found.every[kind]):,}", *spreads, f"{found.slowest_hundredth(kind):,.1f}"])
    ratios = [found.rounds.ratio(PURGING, IDLE, quantity) for quantity in (P50, P99)]
    whole = found.slowest_hundredth(PURGING) / found.slowest_hundredth(IDLE)
    verdict = _verdict(ratios[1].median, PURGE_BUDGET)
    rows.append(["ratio", "", *(ratio.text(2) for ratio in ratios), f"{whole:,.2f}"])
    report.table(
        "Compare-and-swap while scattered rows are purged",
        ["beside it", "calls", f"{P50} of a window", f"{P99} of a window", f"{P99} of all windows"],
        rows,
    )
    rate = found.deleted / found.seconds
    report.text(
        f"{found.deleted:,} dead rows, scattered over a table of {size:,}, purged in {found.seconds:,.0f} s "
        f"({rate:,.0f} rows a second), with {PER_SECOND} refreshes due each second in the same process. "
        f"Windows with and without a purge alternate. p99 at most {PURGE_BUDGET} times that of idle: {verdict}."
    )
    report.results["under purge"] = {
        "ratio of p99": ratios[1].as_json(),
        "deleted": found.deleted,
        "seconds": found.seconds,
        "rounds": found.rounds.as_json(),
    }


def _variants(samples: Mapping[str, Samples]) -> list[str]:
    first = next(iter(samples.values())).as_json()[0]
    return sorted(first, key=lambda name: int(name.split()[0].replace(",", "")))


def _verdict(ratio: float, budget: float) -> str:
    return "yes" if ratio <= budget else "NO"


def _json(samples: Mapping[str, Samples], variant: str, base: str) -> dict[str, object]:
    return {
        name: {"ratio": sampled.ratio(variant, base, MICROSECONDS).as_json(), "rounds": sampled.as_json()}
        for name, sampled in samples.items()
    }
