"""The long form: ``python -m tests.stateful``, with stories that nobody has told before."""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import empty_database
from tests.servers import MariaDB
from tests.stateful.profiles import PROFILES
from tests.stateful.running import tell_stories
from tests.stateful.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stateful", description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000, help="how many stories, over all profiles")
    parser.add_argument("--steps", type=int, default=50, help="how many steps each has at most")
    parser.add_argument("--engine", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--seed", type=int, help="to tell the same stories again; by default any")
    given = parser.parse_args()
    seed = random.randrange(2**32) if given.seed is None else given.seed
    print(f"{given.examples} stories of {given.steps} steps on {given.engine}, --seed {seed}", flush=True)
    for url in databases(given.engine):
        world = World(url)
        try:
            for number, profile in enumerate(PROFILES):
                began = time.monotonic()
                stories = -(-given.examples // len(PROFILES))
                tell_stories(world, profile, stories=stories, steps=given.steps, chosen_by=seed + number)
                print(f"{profile}: {stories} stories in {time.monotonic() - began:.0f} s", flush=True)
        finally:
            world.close()
        for name, count in sorted(world.reached.items(), key=lambda item: item[1]):
            print(f"{count:8} {name}")


def databases(engine: str) -> Iterator[str]:
    """One empty database."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{Path(folder) / 'sessions.db'}"
    else:
        server = MariaDB()
        try:
            yield from empty_database(server)
        finally:
            server.close()


if __name__ == "__main__":
    main()
