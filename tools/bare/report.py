"""What came out: one result for each step on each system, kept as JSON; and all of them as a table."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

_COUNTS = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)
_ENGINES = re.compile(r"^Tested with (.+)$", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (?:tests/\S+).*$", re.MULTILINE)


@dataclass(slots=True)
class Result:
    """One command on one system.

    Attributes:
        system: Its title.
        python: Its version.
        step: The command.
        outcome: In a few words.
        packages: How many of Debian's were installed for it.
        seconds: How long it took.
        silence: The longest time in which it said nothing, in seconds.
        problems: What is wrong; nothing where all is well.
    """

    system: str
    python: str
    step: str
    outcome: str = ""
    packages: int = 0
    seconds: float = 0.0
    silence: float = 0.0
    problems: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: Path) -> "Result":
        return cls(**json.loads(path.read_text()))


def counts(printed: str) -> dict[str, int]:
    """How many tests passed, failed, were skipped: of pytest's last line, or nothing where there is none."""
    lines = _COUNTS.findall(printed)
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", lines[-1])} if lines else {}


def engines(printed: str) -> str:
    """What the tests ran on, as they say at their end."""
    return str((_ENGINES.findall(printed) or ["nothing"])[-1])


def failures(printed: str) -> list[str]:
    return _FAILED.findall(printed)


def table(results: list[Result]) -> str:
    """The results as a table in Markdown, and what is wrong below it."""
    rows = [
        (
            result.system,
            result.python,
            f"`{result.step}`",
            result.outcome,
            str(result.packages),
            f"{result.seconds / 60:.1f} min",
            f"{result.silence:.0f} s",
            "no" if result.problems else "yes",
        )
        for result in results
    ]
    head = ("system", "Python", "command", "outcome", "packages", "took", "longest silence", "good")
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    problems = [
        f"\n{result.system}, `{result.step}`:\n" + "\n".join(f"- {problem}" for problem in result.problems)
        for result in results
        if result.problems
    ]
    return "\n".join([*lines, *problems])
