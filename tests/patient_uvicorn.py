"""``python -m tests.patient_uvicorn``: uvicorn, its workers too, with limits for a busy machine.

Its workers are forked from a process that has imported the package, which takes longer than most tests. Workers that
uvicorn spawns, as it does for everybody else, are in tests/deployment.
"""

import multiprocessing
import sys

import uvicorn
import uvicorn._subprocess

import tests.patience  # noqa: F401 - here, so that each process that uvicorn starts does the same


def fork_workers() -> None:
    """Import what they share, but nothing of the application: each has one of its own."""
    import asgi_sessions.fastapi  # noqa: F401

    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]


if __name__ == "__main__":
    if sys.argv[sys.argv.index("--workers") + 1] != "1":
        fork_workers()
    uvicorn.main()
