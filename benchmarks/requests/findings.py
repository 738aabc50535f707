"""The report: tables and plots of both parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measuring import Samples, Spread
from benchmarks.plots import Bars
from benchmarks.report import Report
from benchmarks.requests.variants import Variant


def legend(report: Report, variants: Sequence[Variant]) -> None:
    """Add what each variant's requests look like."""
    rows = []
    for v in variants:
        stores = [store for store in (v.database, *sorted(v.services)) if store]
        rows.append([v.name, v.framework, v.journey.value if v.app != v.base else "bare", ", ".join(stores)])
    report.table("Variants", ["variant", "framework", "requests carry", "beside it runs"], rows)


def in_process(report: Report, variants: Sequence[Variant], samples: Samples) -> None:
    """Add what the in-process part found."""
    found = _spreads(variants, samples, ("over_wall", "over_cpu", "bare_wall", "bare_cpu"))
    for v in variants:
        pairs = zip(samples.values(v.name, "over_cpu"), samples.values(v.name, "bare_cpu"), strict=True)
        found[v.name]["cpu_ratio"] = Spread.of_ratios((bare + over, bare) for over, bare in pairs)
    rows = [
        [
            v.name,
            v.framework,
            found[v.name]["over_wall"].text(1),
            f"{found[v.name]['over_wall'].minimum:,.1f}",
            found[v.name]["over_cpu"].text(1),
            found[v.name]["cpu_ratio"].text(2),
            found[v.name]["bare_wall"].text(1),
        ]
        for v in variants
    ]
    report.table(
        "In process, microseconds per request",
        ["variant", "framework", "over bare", "its fastest round", "CPU over bare", "CPU, of bare", "bare itself"],
        rows,
    )
    report.text(
        "Each variant alternates with the bare application of its framework in one process, block by block, without a "
        "server. Medians over the rounds, with quartiles. CPU is that of the process alone: what a database or Redis "
        "server does is in the first two columns only. Where `bare itself` differs between lines, the "
        "machine has changed its speed: compare the ratios. `bare-*` against itself shows how exact this is."
    )
    _decoding(report, variants, samples)
    report.plot("in-process", _bars("In process", "us per request over bare", variants, found, "over_wall"))
    report.results["in_process"] = _as_json(found, samples)


def _decoding(report: Report, variants: Sequence[Variant], samples: Samples) -> None:
    """Add what PyJWT takes for the tokens that a variant has not seen before."""
    new = [v for v in variants if samples.values(v.name, "decode_cpu")]
    if new:
        report.table(
            "A new token beside PyJWT, CPU microseconds",
            ["variant", "its token decoded by PyJWT", "over bare, less that"],
            [
                [
                    v.name,
                    samples.spread(v.name, "decode_cpu").text(1),
                    Spread.of(
                        over - decode
                        for over, decode in zip(
                            samples.values(v.name, "over_cpu"), samples.values(v.name, "decode_cpu"), strict=True
                        )
                    ).text(1),
                ]
                for v in new
            ],
        )


def over_http(report: Report, variants: Sequence[Variant], samples: Samples) -> None:
    """Add what the part over HTTP found."""
    found = _spreads(variants, samples, ("rate", "bare_rate", "cpu", "bare_cpu"))
    for variant in variants:
        pairs = {
            quantity: list(
                zip(
                    samples.values(variant.name, quantity),
                    samples.values(variant.name, f"bare_{quantity}"),
                    strict=True,
                )
            )
            for quantity in ("rate", "cpu")
        }
        found[variant.name] |= {
            "rate_ratio": Spread.of_ratios(pairs["rate"]),
            "cpu_ratio": Spread.of_ratios(pairs["cpu"]),
            "over_cpu": Spread.of(mine - bare for mine, bare in pairs["cpu"]),
        }
    rows = [
        [
            v.name,
            v.framework,
            found[v.name]["rate_ratio"].text(2),
            found[v.name]["cpu_ratio"].text(2),
            found[v.name]["over_cpu"].text(0),
            found[v.name]["bare_rate"].text(0),
        ]
        for v in variants
    ]
    report.table(
        "Over uvicorn, one worker",
        [
            "variant",
            "framework",
            "requests/s, of bare",
            "server CPU, of bare",
            "server CPU over bare, us per request",
            "bare requests/s",
        ],
        rows,
    )
    report.text(
        "Each variant runs before or after the bare application of its framework, on a server of its own. Medians over "
        "the rounds, with quartiles. The CPU is that of the uvicorn process, user and system. Variants that need new "
        "credentials for each request (`new-token`, `refresh`), and the bare application beside them, are driven by a "
        "generator in Python, the others by wrk where it is installed."
    )
    title = "Over uvicorn, one worker"
    report.plot("rate", _bars(title, "requests per second, of bare", variants, found, "rate_ratio", line=1.0))
    report.plot("cpu", _bars(title, "server CPU per request, of bare", variants, found, "cpu_ratio", line=1.0))
    report.results["over_http"] = _as_json(found, samples)


def versions(report: Report, found: Mapping[str, Mapping[str, str]]) -> None:
    """Add which packages each environment had."""
    rows = [[name, ", ".join(f"{package} {at}" for package, at in which.items())] for name, which in found.items()]
    report.table("Environments", ["environment", "versions"], rows)
    report.results["versions"] = found


def _spreads(variants: Sequence[Variant], samples: Samples, quantities: Sequence[str]) -> dict[str, dict[str, Spread]]:
    return {v.name: {quantity: samples.spread(v.name, quantity) for quantity in quantities} for v in variants}


def _as_json(found: Mapping[str, Mapping[str, Spread]], samples: Samples) -> dict[str, Any]:
    summary = {name: {quantity: s.as_json() for quantity, s in of_one.items()} for name, of_one in found.items()}
    return {"summary": summary, "rounds": samples.as_json()}


def _bars(
    title: str,
    axis: str,
    variants: Sequence[Variant],
    found: Mapping[str, Mapping[str, Spread]],
    quantity: str,
    line: float | None = None,
) -> Bars:
    shown = [v for v in variants if not v.name.startswith("bare-")] or variants
    bars = {v.name: found[v.name][quantity] for v in shown if found[v.name][quantity].rounds}
    ours = frozenset(v.name for v in shown if v.ours)
    # The span is from 1 us to some ms; a noisy run may have something below 0, which a logarithm cannot show.
    logarithmic = quantity != "rate_ratio" and all(spread.lower > 0 for spread in bars.values())
    return Bars(title, axis, bars, ours, logarithmic, line)
