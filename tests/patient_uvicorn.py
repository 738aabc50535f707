"""``python -m tests.patient_uvicorn``: uvicorn, its workers too, with limits for a busy machine.

Its workers are forked, as it is itself (`forked_python`): to import the package takes longer than most tests. Workers
that uvicorn spawns, as it does for everybody else, are in tests/deployment.
"""

import multiprocessing
import sys

import uvicorn
import uvicorn._subprocess

import tests.patience  # noqa: F401 - here, so that each process that uvicorn starts does the same

if __name__ == "__main__":
    if sys.argv[sys.argv.index("--workers") + 1] != "1":
        uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]
    uvicorn.main()
