"""The two commands, each on a clean copy of a system, and what must be true after them."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port
from tools.bare import report, visitor
from tools.bare.systems import Copy, System
from tools.bare.watching import Watched

MINUTES = 90.0
WORD_SECONDS = 30.0
SILENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Step:
    """A command.

    Attributes:
        name: In names of files.
        words: Of its command line.
    """

    name: str
    words: list[str]


def steps_named(only: str | None, engine: str | None) -> list[Step]:
    """`make run`, and `make test` or its short form for one engine."""
    test = Step("test", ["make", "test"])
    if engine is not None:
        test = Step(f"test-{engine}", ["make", "test-engine", f"ENGINE={engine}"])
    return [step for step in (Step("run", ["make", "run"]), test) if only is None or step.name.startswith(only)]


def run_step(system: System, step: Step, minutes: float) -> report.Result:
    """Run one command on a clean copy, which is deleted where all is well.

    Args:
        system: On which.
        step: The command.
        minutes: After how many it is given up.
    """
    copy = Copy(system, step.name)
    copy.make()
    result = report.Result(system.title, python_of(system), " ".join(step.words))
    port = free_port()
    words = [*step.words, f"PORT={port}"] if step.name == "run" else step.words
    begun = time.monotonic()
    with Watched(copy.command(words), system.log(step.name)) as watched:
        while not watched.wait(1.0 if step.name == "run" else WORD_SECONDS):
            spent = time.monotonic() - begun
            if step.name == "run" and is_greeted(port, spent, result):
                break
            if spent > minutes * 60:
                result.problems.append(f"given up after {spent / 60:.0f} minutes, at: {watched.last_line}")
                break
            if int(spent) % WORD_SECONDS < 1 or step.name != "run":
                print(f"{system.title}: {result.step}, {spent:.0f} s: {watched.last_line}", flush=True)
        status = watched.status
    result.seconds = time.monotonic() - begun
    result.silence = watched.silence
    if status is not None:
        judge(step, status, watched.printed, result)
    if watched.silence > SILENCE_SECONDS:
        result.problems.append(f"{watched.silence:.0f} s without a word after: {watched.silent_after}")
    result.packages = installed(copy.layer) - installed(system.tree) if installed(copy.layer) else 0
    result.problems += left_behind(copy.layer)
    if not result.problems:
        copy.delete()
    print(f"{system.title}: {result.step}: {result.outcome}, {'; '.join(result.problems) or 'good'}", flush=True)
    return result


def is_greeted(port: int, spent: float, result: report.Result) -> bool:
    """Whether the example let somebody sign up, or refused."""
    try:
        page = visitor.greeting(port, "Ada Newcomer")
    except (ValueError, OSError) as refused:
        result.problems.append(str(refused))
        return True
    if page is not None:
        result.outcome = f"signed up after {spent:.0f} s"
    return page is not None


def judge(step: Step, status: int, printed: str, result: report.Result) -> None:
    """What the command's end says."""
    if step.name == "run":
        result.problems.append(f"ended with status {status}")
        return
    counts = report.counts(printed)
    told = ", ".join(f"{number} {word}" for word, number in counts.items()) or "no test ran"
    result.outcome = f"{told}, on {report.engines(printed)}"
    result.problems += report.failures(printed)
    if status != 0 and not result.problems:
        result.problems.append(f"ended with status {status}")
    if "NOT TESTED" in printed and step.name == "test":
        result.problems.append("an engine was not tested")


def left_behind(layer: Path) -> list[str]:
    """What must not be different after an installation: what starts at boot, and what forbids to start."""
    links = [*layer.glob("etc/rc[S2345].d/S*"), *layer.glob("etc/systemd/system/*.wants/*")]
    problems = [f"starts at boot: /{link.relative_to(layer)}" for link in links if link.is_symlink()]
    if (layer / "usr/sbin/policy-rc.d").is_file():
        problems.append("/usr/sbin/policy-rc.d is still there")
    return problems


def installed(root: Path) -> int:
    """How many packages dpkg has there."""
    status = root / "var/lib/dpkg/status"
    return status.read_text(errors="replace").count("\nStatus: install ok installed\n") if status.exists() else 0


def python_of(system: System) -> str:
    command = ["chroot", str(system.tree), "python3", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.removeprefix("Python ").strip()
