"""The long form: ``python -m tests.simulation``. Exits 1 unless nobody was logged out and nothing was called theft."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.servers import MariaDB
from tests.simulation.lifetimes import Lifetimes
from tests.simulation.plan import Plan
from tests.simulation.report import Verdict
from tests.simulation.run import run_until_conclusive


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000, help="at least so many, in each mode")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--promote-on", choices=["refresh", "first_use"], help="both, one after the other, if left out")
    parser.add_argument("--refresh", choices=["inline", "endpoint"], help="both, one after the other, if left out")
    parser.add_argument("--at-once", type=int, default=60, help="how many browsers are in use at the same time")
    parser.add_argument("--lifetime", type=float, default=3.0, help="of access tokens, seconds")
    options = parser.parse_args()
    wrong = 0
    server = MariaDB()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for refresh in (options.refresh,) if options.refresh else ("inline", "endpoint"):
                for promote_on in (options.promote_on,) if options.promote_on else ("refresh", "first_use"):
                    plan = Plan(
                        refresh=refresh,
                        promote_on=promote_on,
                        sessions=options.sessions,
                        requests=options.requests,
                        seed=options.seed,
                        at_once=options.at_once,
                        lifetimes=Lifetimes.of(round(options.lifetime * 1000)),
                    )
                    print(f"\n{plan}", flush=True)
                    report = run_until_conclusive(plan, server, Path(folder))
                    print(report, flush=True)
                    wrong += report.verdict is not Verdict.CLEAN
    finally:
        server.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
