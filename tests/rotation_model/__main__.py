"""The deep check: `python -m tests.rotation_model`, or with `figures FILE` what the plot of the comparison needs."""

import json
import sys
from pathlib import Path

from tests.rotation_model import open_worlds
from tests.rotation_model.explore import Result
from tests.rotation_model.policies import LINES
from tests.rotation_model.scenarios import CATCHES, DEEP, MOST_REFRESHES, SHORT, caught, comparison


def check() -> int:
    """Explore everything; returns how many properties were violated."""
    wrong = states = 0
    seconds = 0.0
    lines: set[str] = set()

    def explored(name: str, result: Result) -> None:
        nonlocal wrong, states, seconds
        states += result.states
        seconds += result.seconds
        wrong += len(result.stories)
        extent = "all of them" if result.complete else f"all up to {result.depth - 1} steps"
        print(f"{name}: {result.states:,} states, {extent}, {result.seconds:.0f} s", flush=True)
        for violated, story in result.stories.items():
            print(f"VIOLATED: {violated}", *story, sep="\n")

    for scenario in (*SHORT, *DEEP):
        policy = scenario.policy()
        explored(scenario.name, scenario.run(policy))
        lines |= policy.lines
    for world in (*open_worlds.SHORT, *open_worlds.DEEP):
        explored(world.name, world.run())
    print(f"{states:,} states in {seconds:.0f} s, {wrong} properties violated.")
    print(f"Lines of the decision table reached: {len(lines & LINES)} of {len(LINES)}.")
    mutants = [(name, loses, caught) for name, (loses, _, _) in CATCHES.items()]
    mutants += [(name, loses, open_worlds.caught) for name, (loses, _, _) in open_worlds.CATCHES.items()]
    for name, loses, catch in mutants:
        story = catch(name).stories.get(loses, [])
        print(f"Mutation: {name}. Loses: {loses if story else 'nothing'}.", *story, sep="\n")
        wrong += not story
    return wrong


def figures(path: Path) -> None:
    """Write the comparison of the policies as JSON, one object per policy."""
    rows = [
        {
            "policy": fares.policy,
            "false_alarm_story": fares.alarm,
            "false_alarm_steps": len(fares.alarm) - 1 if fares.alarm else None,
            "random_walk_refreshes": walks.refreshes,
            "random_walk_false_alarms": walks.alarms,
            "thief_out_after_refreshes": fares.refreshes,
            "thief_watched_for_refreshes": MOST_REFRESHES,
            "states": fares.states,
            "complete": fares.complete,
        }
        for fares, walks in comparison()
    ]
    path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(min(check(), 1))
        case ["figures", file]:
            figures(Path(file))
        case _:
            sys.exit("usage: python -m tests.rotation_model [figures FILE]")
