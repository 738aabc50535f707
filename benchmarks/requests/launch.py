"""Run a module of this package in another environment: ``python -P launch.py MODULE ARGUMENTS``.

Only ``benchmarks`` is found beside this file. Everything else, ``asgi_sessions`` first, must come from the environment,
or the benchmark would measure this checkout whatever is installed there.
"""

import importlib
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])

if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    package = importlib.import_module("benchmarks.requests")  # its submodules are found by its own path from now on
    sys.path.remove(ROOT)
    module = importlib.import_module(f"{package.__name__}.{sys.argv[1]}")
    del sys.argv[:2]
    sys.argv.insert(0, str(module.__file__))
    module.main()
