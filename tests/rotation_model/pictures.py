"""Draws the pictures of docs/rotation-proved.md and writes its comparison: `python -m tests.rotation_model.pictures`.

The figures come from docs/pictures/rotation-policies.json (`python -m tests.rotation_model figures FILE` writes it).
The same figures and the same code give the same bytes.
"""

import json
from math import ceil, floor, log10
from pathlib import Path
from typing import NamedTuple

from asgi_sessions.protocol.rotation import THEFT, Verdict
from tests.docs.written_parts import rewritten
from tests.rotation_model import open_worlds
from tests.rotation_model.comparison import COMPARED
from tests.rotation_model.drawing import Drawing
from tests.rotation_model.parts import UNIT_S
from tests.rotation_model.policies import Numbers
from tests.rotation_model.scenarios import CATCHES, DEEP, NUMBERS, SHORT, SMALL

DOCS = Path(__file__).parents[2] / "docs"
FIGURES = DOCS / "pictures" / "rotation-policies.json"
PAGE = DOCS / "rotation-proved.md"


class Fares(NamedTuple):
    """How a policy fares, from the checked-in figures.

    Attributes:
        policy: Its name.
        story: The shortest false alarm; None: there is none.
        refreshes: Of the random walks.
        alarms: Of the random walks.
        out: By which of the victim's refreshes the thief is out; None: not found.
        watched: For how many refreshes he was watched.
        states: How many the explorations looked at.
        complete: Whether these were all that there are, or all that were needed for the answers.
    """

    policy: str
    story: list[str] | None
    refreshes: int
    alarms: int
    out: int | None
    watched: int
    states: int
    complete: bool

    @property
    def per_thousand(self) -> float:
        return 1000 * self.alarms / self.refreshes

    @property
    def rate(self) -> str:
        """As it is printed."""
        rate = self.per_thousand
        return "0" if not self.alarms else f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def fares() -> list[Fares]:
    return [
        Fares(
            row["policy"],
            row["false_alarm_story"],
            row["random_walk_refreshes"],
            row["random_walk_false_alarms"],
            row["thief_out_after_refreshes"],
            row["thief_watched_for_refreshes"],
            row["states"],
            row["complete"],
        )
        for row in json.loads(FIGURES.read_text())
    ]


def machine() -> str:
    """The life of a refresh token, as the decision sees it."""
    drawing = Drawing(
        760,
        "The life of a refresh token",
        "A token is issued in an answer. When the answer arrives it is a CHILD. Presented, it becomes the HEAD by one "
        "compare-and-swap. If another child of the same parent was first, it is a SIBLING, or a FORK if the two were "
        "issued more than W apart. HEAD and SIBLING are answered with a child, or with a twin while they are younger "
        "than M. When its own child is promoted a token is the LATE PARENT for the time P; after that, shown a second "
        "time, or when another's child was promoted, it is STALE. FORK and STALE are theft and end the session, as a "
        "logout does at any time. FUTURE is a token that is newer than the row: a backup was restored.",
    )

    def box(x: float, y: float, width: float, height: float, verdict: Verdict, *lines: str, kind: str = "") -> None:
        kind = "theft" if verdict in THEFT else kind
        drawing.box(x, y, width, height, kind, verdict.name.replace("_", " "), *lines)

    drawing.rectangle(14, 286, 436, 116, "group", rounded=10)
    drawing.text(237, 304, "k = gen: answered with tokens", kind="faint", anchor="middle")
    drawing.box(250, 16, 200, 70, "open", "issued", "in an answer under way;", "the row does not know it")
    box(
        490,
        16,
        196,
        86,
        Verdict.FUTURE,
        "k > gen + 1: the row is older",
        "than the token; a backup was",
        "restored. 401, no alarm",
    )
    box(250, 142, 200, 70, Verdict.CHILD, "k = gen + 1, and its parent", "is the HEAD or a SIBLING", kind="good")
    box(26, 314, 196, 76, Verdict.SIBLING, "has the HEAD's parent,", "issued at most W apart", kind="good")
    box(240, 314, 198, 76, Verdict.HEAD, "the current token:", "gen, cur and cur_iat", kind="good")
    box(490, 314, 180, 76, Verdict.FORK, "has the HEAD's parent,", "issued more than W apart")
    box(
        26,
        474,
        196,
        92,
        Verdict.LATE_PARENT,
        "prev, promoted at most P ago,",
        "no marker. 409, or served",
        "inline: no token, a marker",
    )
    box(
        490,
        474,
        180,
        92,
        Verdict.STALE,
        "left behind: any other",
        "k <= gen, or the child of a",
        "SIBLING that was left behind",
    )
    drawing.box(
        150,
        634,
        520,
        64,
        "",
        "ended",
        "A tombstone in the row, revoked_at, for good. Whatever comes now: 401, no alarm.",
    )

    drawing.arrow((350, 86), (350, 142))
    drawing.text(358, 118, "its answer arrives")
    drawing.arrow((450, 51), (490, 51), kind="open")
    drawing.arrow((350, 212), (350, 314))
    drawing.text(358, 244, "presented first:", "one compare-", "and-swap")
    drawing.arrow((250, 182), (124, 182), (124, 314))
    drawing.text(132, 205, "another child of", "its parent was first,", "at most W apart")
    drawing.arrow((450, 164), (592, 164), (592, 314))
    drawing.text(600, 200, "another child of", "its parent was", "first, more", "than W apart")
    drawing.arrow((450, 196), (474, 196), (474, 496), (490, 496))
    drawing.text(482, 220, "its parent was", "a SIBLING and", "left behind")
    drawing.arrow((60, 286), (60, 51), (250, 51))
    drawing.text(68, 72, "each time it is presented:", "a child (k + 1), or a twin", "(same k) if younger than M")
    drawing.arrow((124, 402), (124, 474))
    drawing.text(132, 434, "its own child", "is promoted")
    drawing.arrow((340, 402), (340, 526), (490, 526))
    drawing.text(348, 434, "the child of another", "is promoted")
    drawing.arrow((222, 548), (490, 548))
    drawing.text(232, 566, "after P, shown again with the", "marker, or one generation later")
    drawing.arrow((580, 566), (580, 634), kind="alarm")
    drawing.text(588, 604, "presented: theft")
    drawing.arrow((670, 352), (688, 352), (688, 666), (670, 666), kind="alarm")
    drawing.arrow((20, 666), (150, 666))
    drawing.text(20, 656, "logout, revocation,")
    drawing.text(20, 684, "at any time")
    drawing.text(
        14,
        728,
        f"W: sibling_window, {_seconds(NUMBERS.window)}. P: late_parent_window, {_seconds(NUMBERS.late)}."
        f" M: min_refresh_age, {_seconds(NUMBERS.young)}.",
        "k: the token's generation. gen, cur, cur_iat, prev, revoked_at: columns of the session's row.",
        kind="faint",
    )
    return drawing.svg()


_LEFT, _RIGHT, _TOP, _STEP, _BAR = 180, 560, 58, 34, 20


def alarms(rows: list[Fares]) -> str:
    """False alarms per 1,000 refreshes, on a logarithmic scale that begins below the least of them."""
    rates = [row.per_thousand for row in rows if row.alarms]
    least, most = floor(log10(min(rates))) - 1, ceil(log10(max(rates)))
    bottom = _TOP + _STEP * len(rows)
    drawing = Drawing(
        bottom + 52,
        "False alarms per 1,000 refreshes",
        "; ".join(f"{row.policy}: {row.rate}" for row in rows) + ". Logarithmic scale.",
    )
    drawing.text(14, 26, "False alarms per 1,000 refreshes, one browser with two tabs and no thief", kind="name")

    def at(value: float) -> float:
        return _LEFT + (log10(value) - least) / (most - least) * (_RIGHT - _LEFT)

    for power in range(least, most + 1):
        drawing.line(at(10.0**power), _TOP - 10, bottom)
        drawing.text(at(10.0**power), bottom + 16, f"{10.0**power:,g}", kind="faint", anchor="middle")
    for number, row in enumerate(rows):
        top = _TOP + _STEP * number
        drawing.text(_LEFT - 10, top + 14, row.policy, anchor="end")
        if row.alarms:
            drawing.rectangle(_LEFT, top, at(row.per_thousand) - _LEFT, _BAR, _kind(number), rounded=0)
            drawing.text(at(row.per_thousand) + 8, top + 14, row.rate)
        else:
            drawing.text(_LEFT + 8, top + 14, f"0: none in {row.refreshes:,} refreshes", kind="name")
    drawing.text(
        14,
        bottom + 40,
        "Random walks. The scale is logarithmic; where there is no bar, there was no alarm.",
        kind="faint",
    )
    return drawing.svg()


def thief(rows: list[Fares]) -> str:
    """By which of the victim's refreshes the thief is out."""
    longest = max(row.watched for row in rows)
    bottom = _TOP + _STEP * len(rows)
    drawing = Drawing(
        bottom + 52,
        "By which of the victim's refreshes the thief is out",
        "; ".join(f"{row.policy}: {row.out or f'not found within {row.watched}'}" for row in rows) + ".",
    )
    drawing.text(14, 26, "By which of the victim's refreshes after the theft the thief is out", kind="name")
    unit = (_RIGHT - _LEFT - 20) / longest
    for count in range(longest + 1):
        drawing.line(_LEFT + count * unit, _TOP - 10, bottom)
        drawing.text(_LEFT + count * unit, bottom + 16, str(count), kind="faint", anchor="middle")
    for number, row in enumerate(rows):
        top = _TOP + _STEP * number
        drawing.text(_LEFT - 10, top + 14, row.policy, anchor="end")
        if row.out is None:
            drawing.rectangle(_LEFT, top, row.watched * unit, _BAR, f"{_kind(number)} open", rounded=0)
            drawing.arrow((_LEFT + row.watched * unit, top + 10), (_LEFT + row.watched * unit + 18, top + 10))
            drawing.text(_LEFT + row.watched * unit + 26, top + 14, "never found")
        else:
            drawing.rectangle(_LEFT, top, row.out * unit, _BAR, _kind(number), rounded=0)
            drawing.text(_LEFT + row.out * unit + 8, top + 14, str(row.out))
    drawing.text(
        14,
        bottom + 40,
        f"Worst case of every interleaving; open bar: still there after {longest} refreshes.",
        kind="faint",
    )
    return drawing.svg()


def _kind(number: int) -> str:
    return "bar ours" if number == 0 else "bar"


def pictures() -> dict[str, str]:
    """Every picture by the name of its file."""
    rows = fares()
    return {
        "rotation-life-of-a-token.svg": machine(),
        "rotation-false-alarms.svg": alarms(rows),
        "rotation-thief.svg": thief(rows),
    }


def comparison() -> str:
    """How the policies fare, and the shortest story against each."""
    lines = [
        "| scheme | settings in the model | a false alarm | alarms per 1,000 refreshes | the thief is out | states |",
        "|---|---|---|---|---|---|",
    ]
    rows = fares()
    for row in rows:
        alarm = "none exists" if row.story is None else f"in {len(row.story) - 1} steps"
        rate = f"{row.rate} ({row.alarms:,} in {row.refreshes:,})"
        out = f"not within {row.watched} refreshes" if row.out is None else f"by refresh {row.out}"
        states = f"{row.states:,}" if row.complete else f"the first {row.states:,}"
        lines.append(f"| {row.policy} | {_settings(row.policy)} | {alarm} | {rate} | {out} | {states} |")
    for row in rows:
        if row.story is not None:
            lines += ["", f"The shortest false alarm of *{row.policy}*:", "", "```text", *row.story, "```"]
    return "\n".join(lines)


def _settings(name: str) -> str:
    others = {policy.name: policy for policy in COMPARED}
    if name not in others:
        return _windows(SMALL)
    grace = getattr(others[name], "grace", None)
    return "none" if grace is None else _seconds(grace)


def _windows(numbers: Numbers) -> str:
    return f"W {_seconds(numbers.window)}, P {_seconds(numbers.late)}, M {_seconds(numbers.young)}"


def mutations() -> str:
    """What somebody might do to the decision, and what is lost by it."""
    lines = ["| mutation | loses |", "|---|---|"]
    lost = [(name, wrong) for name, (wrong, _, _) in CATCHES.items()]
    lost += [(name, wrong) for name, (wrong, _, _) in open_worlds.CATCHES.items()]
    return "\n".join([*lines, *(f"| {name} | {wrong} |" for name, wrong in lost)])


def worlds() -> str:
    """Which worlds are explored, and up to which bounds."""
    lines = [
        "| world | tabs | round trip | clocks apart | a tab acts within | W, P, M | access tokens | explored |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for form, scenarios in (("tests", SHORT), ("deep", DEEP)):
        for scenario in scenarios:
            bounds, numbers = scenario.bounds, scenario.numbers
            acts = "-" if bounds.mode == "inline" else "any time" if bounds.stall is None else _seconds(bounds.stall)
            windows = ", ".join(map(_seconds, (numbers.window, numbers.late, numbers.young)))
            extent = "all" if scenario.most is None else f"at most {scenario.most:,} states"
            lines.append(
                f"| {scenario.name} | {bounds.tabs} | {_seconds(bounds.round_trip)} | {_seconds(bounds.skew)} | {acts} "
                f"| {windows} | {_seconds(bounds.access)} | {form}: {extent} |"
            )
    return "\n".join(lines)


def connections() -> str:
    """Which worlds with open connections are explored, and up to which bounds."""
    lines = [
        "| world | access tokens | `connection_lifetime` | clocks apart | `absolute_timeout` | explored |",
        "|---|---|---|---|---|---|",
    ]
    for form, worlds in (("tests", open_worlds.SHORT), ("deep", open_worlds.DEEP)):
        for world in worlds:
            span = world.span
            absolute = "none" if span.absolute is None else _seconds(span.absolute)
            bounds = f"{_seconds(span.access)} | {_seconds(span.lifetime)} | {_seconds(span.skew)} | {absolute}"
            lines.append(f"| {world.name} | {bounds} | {form}: all |")
    return "\n".join(lines)


def _seconds(units: int) -> str:
    return f"{units * UNIT_S} s"


WRITTEN = {"mutations": mutations, "worlds": worlds, "connections": connections, "comparison": comparison}
"""The parts of the page that are written by this module."""


def page(text: str) -> str:
    """The page with the parts that are written here as they should be."""
    for name, written in WRITTEN.items():
        text = rewritten(PAGE, text, name, "tests.rotation_model.pictures", written())
    return text


def main() -> None:
    for name, svg in pictures().items():
        (FIGURES.parent / name).write_text(svg)
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main()
